// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"

	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

// A look at everybody costs as much as starting a few processes, and of fifty
// helpers that wait for one load each would take one. What most of them want to
// know is the same: whether all who ask are strangers to all who load (see
// strangers). So whoever looks while others wait leaves in the registry when he
// did and what he saw, and who has not looked yet takes his word, or keeps a
// distance that leaves the processor to those who load.

// Look is what the last look found.
type Look struct {
	Began, Ended int64 // ns, CLOCK_BOOTTIME
	Strangers    bool  // all who asked
	Waiting      int64 // invocations of ours, in user space
	Boot         string
}

const (
	lookedName  = "looked"
	lookingName = "looking"
)

// Format is what the file has.
func (l *Look) Format() []byte {
	b := append(make(lines, 0, 160), "schema=1\n"...)
	b.add("began", proc.Utoa(uint64(l.Began)))
	b.add("ended", proc.Utoa(uint64(l.Ended)))
	b.add("waiting", proc.Utoa(uint64(l.Waiting)))
	b.add("boot", l.Boot)
	strangers := "0"
	if l.Strangers {
		strangers = "1"
	}
	b.add("strangers", strangers)
	return b
}

func parseLooked(b []byte) (l Look, ok bool) {
	ok = true
	schema := uint64(0)
	proc.Lines(b, func(line []byte) bool {
		key, value, _ := bytes.Cut(line, []byte{'='})
		if string(key) == "boot" {
			l.Boot = string(value)
			return true
		}
		v, good := proc.Uint(value)
		if ok = good && v < 1<<63; !ok {
			return false
		}
		switch string(key) {
		case "schema":
			schema = v
		case "began":
			l.Began = int64(v)
		case "ended":
			l.Ended = int64(v)
		case "waiting":
			l.Waiting = int64(min(v, maxEntries))
		case "strangers":
			l.Strangers = v == 1
		}
		return true
	})
	return l, ok && schema == 1 && l.Boot != "" && l.Began <= l.Ended
}

// RecordLook leaves what a look found to those who have not looked yet.
func (r *Registry) RecordLook(l Look) {
	_ = r.replace(lookedName, "."+r.name, l.Format())
}

// LastLook reads what the last look found.
func (r *Registry) LastLook() (Look, bool) {
	if r.Open() != nil {
		return Look{}, false
	}
	var b [256]byte
	n, ok := r.readOwn(lookedName, b[:])
	if !ok {
		return Look{}, false
	}
	return parseLooked(b[:n])
}

// ClaimLook makes us the one who looks, unless another is.
func (r *Registry) ClaimLook() bool {
	if r.Open() != nil || r.looking != 0 {
		return true
	}
	const flags = unix.O_RDONLY | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(r.fd, lookingName, flags, 0o600)
	if err != nil {
		return true
	}
	if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == unix.EWOULDBLOCK {
		unix.Close(fd)
		return false
	}
	r.looking = fd
	return true
}

// ReleaseLook lets another look.
func (r *Registry) ReleaseLook() {
	if r.looking != 0 {
		unix.Close(r.looking)
		r.looking = 0
	}
}
