// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

// The kernel gives all that wait for a load of one file that load's result
// (idempotent_init_module in kernel/module/main.c, 6.5), and EBUSY to those that
// waited for the name when the load has failed (module_patient_check_exists;
// 0254127ab977, 6.2 and stable branches). So whoever waits in user space must
// not begin the load anew when the one he waited for has failed, or each of
// fifty has the init run once more. Its result comes from who got it: an
// invocation whose load fails while others are in the registry leaves a record
// of it there. Where there is none, nobody knows whether the load failed, or the
// module went live and was removed at once, and only another try can tell.
//
// A record is believed for one load alone. Root's directory holds it, and root
// wrote it, in this boot; the load was under way when the waiter came; and it
// ended after the waiter last saw his load under way, so that the record of one
// that ended before, and whose owner was late to write it, is not taken for his.

// Failure is the record of a load that failed.
type Failure struct {
	File         Inode
	ByFile       bool // the kernel shares it with all that wait for the file
	Errno        unix.Errno
	Since, Ended int64 // ns, CLOCK_BOOTTIME
	Boot         string
}

// Format is the record as the file has it.
func (f *Failure) Format() []byte {
	b := make(lines, 0, 128)
	b.add("schema", "1")
	b.add("dev", proc.Utoa(f.File.Dev))
	b.add("ino", proc.Utoa(f.File.Ino))
	if f.ByFile {
		b.add("byfile", "1")
	}
	b.add("errno", proc.Utoa(uint64(f.Errno)))
	b.add("since", proc.Utoa(uint64(f.Since)))
	b.add("ended", proc.Utoa(uint64(f.Ended)))
	return append(append(append(b, "boot="...), f.Boot...), '\n')
}

func parseFailure(b []byte) (f Failure, ok bool) {
	const errnoMost = 4095 // MAX_ERRNO
	ok = true
	var schema, errno, since, ended uint64
	proc.Lines(b, func(line []byte) bool {
		key, value, _ := bytes.Cut(line, []byte{'='})
		if string(key) == "boot" {
			f.Boot = string(value)
			return true
		}
		v, good := proc.Uint(value)
		if ok = good; !ok {
			return false
		}
		switch string(key) {
		case "schema":
			schema = v
		case "dev":
			f.File.Dev = v
		case "ino":
			f.File.Ino = v
		case "byfile":
			f.ByFile = v == 1
		case "errno":
			errno = v
		case "since":
			since = v
		case "ended":
			ended = v
		}
		return true
	})
	f.Errno, f.Since, f.Ended = unix.Errno(errno), int64(since), int64(ended)
	return f, ok && schema == 1 && f.Boot != "" && errno > 0 && errno <= errnoMost && since < 1<<63 && ended < 1<<63
}

// RecordFailure leaves the record of a module's load that failed.
func (r *Registry) RecordFailure(module string, f Failure) {
	if !plainName(module) {
		return
	}
	// The temporary name is that of an entry: who dies now leaves one that is
	// swept as any other.
	_ = r.replace("failed-"+module, "."+r.name, f.Format())
}

// Overlaps tells whether the load that failed was under way at a moment.
func (f *Failure) Overlaps(at int64) bool { return f.Since <= at && at <= f.Ended }

// BootID tells this boot from others, whose records a /run that is no tmpfs may
// still hold; empty when it cannot be read.
func BootID() string {
	p, err := proc.OpenProc()
	if err != nil {
		return ""
	}
	defer p.Close()
	b, err := p.Read("sys/kernel/random/boot_id")
	if err != nil || len(b) < 32 || len(b) > 64 {
		return ""
	}
	return string(bytes.TrimRight(b, "\n"))
}

// HasOthers tells whether somebody else has an entry.
func (r *Registry) HasOthers() bool {
	if r.fd < 0 {
		return false
	}
	dir, err := unix.Openat(r.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(dir)
	found := false
	_ = proc.ReadNames(dir, func(name string) bool {
		_, _, entry := splitName(name)
		found = entry && name != r.name
		return !found
	})
	return found
}

// LastFailure reads the last record of a module.
func (r *Registry) LastFailure(module string) (Failure, bool) {
	if !plainName(module) || r.Open() != nil {
		return Failure{}, false
	}
	var b [512]byte
	n, ok := r.readOwn("failed-"+module, b[:])
	if !ok {
		return Failure{}, false
	}
	return parseFailure(b[:n])
}
