// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"

	"golang.org/x/sys/unix"

	"safeload/internal/limits"
	"safeload/internal/proc"
)

// Count adds a verdict to the statistics that live until reboot.
//
// letter is what became of a load; line is what was said of it, if it was
// refused.
func (r *Registry) Count(letter byte, line string) {
	if r.Open() != nil {
		return
	}
	appendTo(r.fd, "verdicts", []byte{letter}, 4<<20)
	if line != "" {
		appendTo(r.fd, "refusals", append([]byte(line), '\n'), 64<<10)
	}
}

func appendTo(dir int, name string, b []byte, limit int64) {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size < limit && limits.FileSize(st.Size+int64(len(b))) == nil {
		_, _ = unix.Write(fd, b)
	}
}

// Statistics are the verdicts since boot on loads that found their module
// coming.
type Statistics struct {
	Independent, WentLive, Refused, Suspected int
	Refusals                                  []string // the lines, oldest first
}

// Verdicts reads the statistics in a registry's directory.
func Verdicts(dir string) Statistics {
	if dir == "" {
		dir = DefaultDir
	}
	var st Statistics
	d, err := proc.OpenDir(dir)
	if err != nil {
		return st
	}
	defer d.Close()
	if b, err := d.Read("refusals"); err == nil {
		proc.Lines(b, func(line []byte) bool {
			st.Refusals = append(st.Refusals, string(line))
			return true
		})
	}
	for off := int64(0); ; {
		b, err := d.ReadAt("verdicts", off)
		if err != nil || len(b) == 0 {
			return st
		}
		off += int64(len(b))
		for _, c := range b {
			switch c {
			case 'g':
				st.Independent++
			case 'd':
				st.WentLive++
			case 'r':
				st.Refused++
			case 's':
				st.Suspected++
			}
		}
	}
}

// Thread is a thread, told from a later one that has its number.
type Thread struct {
	TID   int
	Start uint64 // ticks since boot; 0: no thread
}

// RememberSuspicion notes that a request was refused on suspicion because of a load,
// which goes on, and of the thread that it is taken to wait for, if any. A file
// a module, with the thread that loads.
func (r *Registry) RememberSuspicion(module string, owner, tie Thread) {
	if r.Open() != nil || !plainName(module) {
		return
	}
	name := "suspect-" + module
	_ = unix.Unlinkat(r.fd, name, 0)
	appendTo(r.fd, name, suspectID(owner, tie), maxEntry)
}

// RemembersSuspicion tells whether that same load was the reason before, and for the
// same thread.
func (r *Registry) RemembersSuspicion(module string, owner, tie Thread) bool {
	if r.Open() != nil || !plainName(module) {
		return false
	}
	var b [128]byte
	n := r.readNote("suspect-"+module, b[:])
	return n > 0 && bytes.Equal(b[:n], suspectID(owner, tie))
}

func suspectID(owner, tie Thread) []byte {
	id := owner.id()
	if tie != (Thread{}) {
		id = append(append(id, ' '), tie.id()...)
	}
	return id
}

func (t Thread) id() []byte {
	return []byte(proc.Itoa(t.TID) + "." + proc.Utoa(t.Start))
}

// Note writes a token down under a name, in place of another.
func (r *Registry) Note(name, token string) {
	if r.Open() == nil && plainName(name) {
		_ = unix.Unlinkat(r.fd, name, 0)
		appendTo(r.fd, name, []byte(token), maxEntry)
	}
}

// HasNote tells whether it is the one that was noted.
func (r *Registry) HasNote(name, token string) bool {
	if r.Open() != nil || !plainName(name) {
		return false
	}
	fd, err := unix.Openat(r.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var b [64]byte
	n, err := unix.Read(fd, b[:])
	return err == nil && token != "" && string(b[:max(n, 0)]) == token
}

// MarkDead notes that nobody runs the init of a module, for those who ask next; IsDead
// reads it. The module stays as it is until the next boot, and what the kernel
// numbers it by is not given out again.
func (r *Registry) MarkDead(module, number string) {
	if number == "" || r.Open() != nil || r.Foreign || !plainName(module) {
		return
	}
	name := "dead-" + module
	_ = unix.Unlinkat(r.fd, name, 0)
	appendTo(r.fd, name, []byte(number), maxEntry)
}

// IsDead tells whether that was noted of this load of a module.
func (r *Registry) IsDead(module, number string) bool {
	if number == "" || r.Open() != nil || r.Foreign || !plainName(module) {
		return false
	}
	var b [128]byte
	return string(b[:r.readNote("dead-"+module, b[:])]) == number
}

// readNote reads a short file into b, and returns how much there is of it.
func (r *Registry) readNote(name string, b []byte) int {
	fd, err := unix.Openat(r.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, b)
	if err != nil {
		return 0
	}
	return n
}

func plainName(s string) bool {
	return s != "" && len(s) <= 64 && bytes.IndexByte([]byte(s), '/') < 0
}
