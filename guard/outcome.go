// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/clock"
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

// failure is the record of a load that failed.
type failure struct {
	file         inode
	byFile       bool // the kernel shares it with all that wait for the file
	errno        unix.Errno
	since, ended int64 // ns, CLOCK_BOOTTIME
	boot         string
}

func (f *failure) format() []byte {
	b := make([]byte, 0, 128)
	add := func(key string, v uint64) {
		b = append(append(append(append(b, key...), '='), proc.Utoa(v)...), '\n')
	}
	add("schema", 1)
	add("dev", f.file.dev)
	add("ino", f.file.ino)
	if f.byFile {
		add("byfile", 1)
	}
	add("errno", uint64(f.errno))
	add("since", uint64(f.since))
	add("ended", uint64(f.ended))
	return append(append(append(b, "boot="...), f.boot...), '\n')
}

func parseFailure(b []byte) (f failure, ok bool) {
	const errnoMost = 4095 // MAX_ERRNO
	ok = true
	var schema, errno, since, ended uint64
	proc.Lines(b, func(line []byte) bool {
		key, value, _ := bytes.Cut(line, []byte{'='})
		if string(key) == "boot" {
			f.boot = string(value)
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
			f.file.dev = v
		case "ino":
			f.file.ino = v
		case "byfile":
			f.byFile = v == 1
		case "errno":
			errno = v
		case "since":
			since = v
		case "ended":
			ended = v
		}
		return true
	})
	f.errno, f.since, f.ended = unix.Errno(errno), int64(since), int64(ended)
	return f, ok && schema == 1 && f.boot != "" && errno > 0 && errno <= errnoMost && since < 1<<63 && ended < 1<<63
}

// overlaps tells whether the load that failed was under way at a moment.
func (f *failure) overlaps(at int64) bool { return f.since <= at && at <= f.ended }

// tell leaves the result of our load that failed to those who wait for it in
// user space. The first one stays: those that only waited for it come later.
// followed says that we went ahead while the module was coming already.
func (g *Guard) tell(l Load, err error, followed bool) {
	var e *finit.Error
	if !errors.As(err, &e) || !told(e, followed) ||
		l.file == (inode{}) || !plainName(l.Module) || g.reg.name == "" || !g.reg.others() {
		return
	}
	f := failure{file: l.file, byFile: e.Op == "finit_module", errno: e.Errno, since: g.own.since, ended: clock.Boot()}
	name := "failed-" + l.Module
	if f.boot = bootID(); f.boot == "" {
		return
	}
	if had, ok := g.reg.failure(l.Module); ok && had.boot == f.boot && had.overlaps(f.since) {
		return
	}
	// The temporary name is that of an entry: who dies now leaves one that is
	// swept as any other.
	_ = g.reg.replace(name, "."+g.reg.name, f.format())
}

// told: the error is the load's. Who followed another has his from the kernel,
// unless it is of a kind that is his alone: no right to load, a wait that was
// interrupted, a wait for the name (which knows only that the load is over).
func told(e *finit.Error, followed bool) bool {
	switch e.Op {
	case "finit_module":
	case "init_module":
		if followed {
			return false
		}
	default:
		return false
	}
	switch e.Errno {
	case unix.EEXIST: // it is live
		return false
	case unix.EPERM, unix.EINTR, unix.EBUSY:
		return !followed
	}
	return !followed || sharesResults()
}

// bootID tells this boot from others, whose records a /run that is no tmpfs may
// still hold; empty when it cannot be read.
func bootID() string {
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

// others tells whether somebody else has an entry.
func (r *registry) others() bool {
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

// failure reads the last record of a module.
func (r *registry) failure(module string) (failure, bool) {
	if !plainName(module) || r.open() != nil {
		return failure{}, false
	}
	var b [512]byte
	n, ok := r.readOwn("failed-"+module, b[:])
	if !ok {
		return failure{}, false
	}
	return parseFailure(b[:n])
}

// resultWait is how long after a module is gone its owner may take to return and
// to leave its record: free_module waits for an RCU grace period.
const resultWait = time.Second

// outcome is what becomes of us when the load that we waited for is over and
// its module not live.
func (c *contest) outcome() (Verdict, *Refused) {
	boot := bootID()
	gap, poll := pollLeast, pollLeast
	next := time.Now().Add(8 * gap) // the record is mostly there by then
	for end := time.Now().Add(resultWait); ; clock.Sleep(poll) {
		if f, ok := c.g.reg.failure(c.l.Module); ok && f.boot == boot && f.overlaps(c.began) && f.ended >= c.seen {
			c.g.result = c.l.failed(&f)
			return Failed, nil
		}
		poll = min(poll+poll/4, pollMost/4)
		if now := time.Now(); now.After(end) {
			return Again, nil
		} else if now.After(next) {
			if !c.loading() {
				return Again, nil
			}
			gap *= 2
			next = time.Now().Add(8 * gap)
		}
	}
}

// failed is the error that the kernel would have given to a load that waited
// for another, which failed.
func (l Load) failed(f *failure) error {
	e := &finit.Error{Op: "finit_module", Module: l.Module, File: l.Path, Errno: f.errno}
	if !f.byFile || f.file != l.file || !sharesResults() {
		e.Errno = unix.EBUSY
	}
	return e
}

// loading tells whether an invocation of ours has yet to return from a load that
// was under way when we came.
func (c *contest) loading() bool {
	entries, _ := c.g.reg.read(c.proc)
	for i := range entries {
		if e := &entries[i]; e.state == stateLoad && e.module == c.l.Module && e.since <= c.began {
			return true
		}
	}
	return false
}

// sharesResults: this kernel gives the result of a load to all that wait for the
// same file. idempotent_init_module came with 6.5 (9b9879fc0327).
func sharesResults() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	major, rest, _ := bytes.Cut(u.Release[:], []byte{'.'})
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	a, ok1 := proc.Uint(major)
	b, ok2 := proc.Uint(rest[:n])
	return ok1 && ok2 && (a > 6 || a == 6 && b >= 5)
}
