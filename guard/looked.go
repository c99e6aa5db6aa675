// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/proc"
)

// A look at everybody costs as much as starting a few processes, and of fifty
// helpers that wait for one load each would take one. What most of them want to
// know is the same: whether all who ask are strangers to all who load (see
// strangers). So whoever looks while others wait leaves in the registry when he
// did and what he saw, and who has not looked yet takes his word, or keeps a
// distance that leaves the processor to those who load.

// looked is what the last look found.
type looked struct {
	began, ended int64 // ns, CLOCK_BOOTTIME
	strangers    bool  // all who asked
	waiting      int64 // invocations of ours, in user space
	boot         string
}

const (
	lookedName  = "looked"
	lookingName = "looking"

	// firstShare: after a first look there is none for as long as it took, times
	// the number of those who wait, by this. Of two, the second looks at once; of
	// fifty, all together take about an eighth of one processor.
	firstShare = 8
	// firstLookMost is the longest that a first look is put off.
	firstLookMost = 500 * time.Millisecond
	// lookingMost is that while another looks: each of fifty that looked at the
	// same time would take fifty times as long.
	lookingMost = 2 * time.Second
)

func (l *looked) format() []byte {
	b := make([]byte, 0, 160)
	b = append(append(b, "schema=1\nbegan="...), proc.Utoa(uint64(l.began))...)
	b = append(append(b, "\nended="...), proc.Utoa(uint64(l.ended))...)
	b = append(append(b, "\nwaiting="...), proc.Utoa(uint64(l.waiting))...)
	b = append(append(b, "\nboot="...), l.boot...)
	b = append(b, "\nstrangers="...)
	if l.strangers {
		return append(b, "1\n"...)
	}
	return append(b, "0\n"...)
}

func parseLooked(b []byte) (l looked, ok bool) {
	ok = true
	schema := uint64(0)
	proc.Lines(b, func(line []byte) bool {
		key, value, _ := bytes.Cut(line, []byte{'='})
		if string(key) == "boot" {
			l.boot = string(value)
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
			l.began = int64(v)
		case "ended":
			l.ended = int64(v)
		case "waiting":
			l.waiting = int64(min(v, maxEntries))
		case "strangers":
			l.strangers = v == 1
		}
		return true
	})
	return l, ok && schema == 1 && l.boot != "" && l.began <= l.ended
}

func (r *registry) looked() (looked, bool) {
	if r.open() != nil {
		return looked{}, false
	}
	var b [256]byte
	n, ok := r.readOwn(lookedName, b[:])
	if !ok {
		return looked{}, false
	}
	return parseLooked(b[:n])
}

// holdOff tells whether the first look had better wait, and whether it need not
// be taken: another has seen, since we are here, that all who asked are
// strangers.
func (c *contest) holdOff() (hold, strangers bool) {
	if !c.alone() {
		return false, false
	}
	if c.first.IsZero() {
		c.first = time.Now()
		c.boot = bootID()
	}
	l, ok := c.g.reg.looked()
	now := clock.Boot()
	if !ok || l.ended > now || l.boot != c.boot {
		l = looked{}
	}
	if start := c.g.self.start; l.strangers && start != 0 && l.began > int64(start+1)*clock.Tick {
		return false, true
	}
	if c.last != nil {
		return false, false // the next ones come at their own distance
	}
	if time.Since(c.first) < firstLookMost && now < l.ended+(l.ended-l.began)*l.waiting/firstShare {
		return true, false
	}
	if c.looking.IsZero() && !c.g.reg.looks() && time.Since(c.first) < lookingMost {
		return true, false // another looks just now
	}
	c.looking = time.Now()
	return false, false
}

// alone: a helper of the kernel that has nothing to do with an invocation of
// ours above it. What is seen of all who ask for helpers holds for it.
func (c *contest) alone() bool {
	if c.helper == 0 {
		c.helper = 1
		if s, err := c.proc.Outline(c.g.self.pid, c.g.self.pid); err == nil && c.g.self.parent == "" && !c.proc.Nested() {
			if p, err := c.proc.Outline(s.PPID, s.PPID); err == nil && p.Worker() {
				c.helper = 2
			}
		}
	}
	return c.helper == 2
}

// tellLook leaves what a look saw to those who have not looked yet.
func (c *contest) tellLook(s *snapshot, began int64, waiting int) {
	if waiting > 1 && c.boot != "" && c.g.reg.name != "" {
		l := looked{began: began, ended: clock.Boot(), strangers: s.allStrangers(), waiting: int64(waiting), boot: c.boot}
		_ = c.g.reg.replace(lookedName, "."+c.g.reg.name, l.format())
	}
	c.looking = time.Time{}
	c.g.reg.looksNoMore()
}

// looks makes us the one who looks, unless another is.
func (r *registry) looks() bool {
	if r.open() != nil || r.looking != 0 {
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

func (r *registry) looksNoMore() {
	if r.looking != 0 {
		unix.Close(r.looking)
		r.looking = 0
	}
}
