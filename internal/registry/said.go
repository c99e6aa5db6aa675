// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/kmsg"
	"safeload/internal/limits"
	"safeload/internal/proc"
)

// Anybody can have the kernel ask for modules as often as he likes, and each
// request is an invocation. So what they say in the kernel's log is limited for
// all of them together, by a file in the registry, which only root can write.
const (
	saidFile = "said"
	saidMost = 60 // lines
	saidTime = int64(time.Minute)
)

// Print is for lines that come of a load, but not of its guard: they count as the
// guard's do.
func Print(line string) {
	r := New("")
	defer r.Close()
	r.Print(line)
}

// Print is [Print] with the count in this registry.
func (r *Registry) Print(line string) {
	if kmsg.Print(line) {
		return
	}
	unsaid, ok := r.mayLog(clock.Boot())
	if unsaid > 0 {
		_ = kmsg.Write(kmsg.Warning, unsaidLine(unsaid))
	}
	if ok {
		_ = kmsg.Write(kmsg.Warning, line)
	}
}

func unsaidLine(n uint64) string {
	return "safeload: " + proc.Utoa(n) + " more lines were not written"
}

// said is what the file holds: since when lines are counted, how many were
// written since, and how many were not.
type said struct {
	since           int64 // ns, CLOCK_BOOTTIME
	written, unsaid uint64
}

// add counts a line. It returns whether that may be written, and how many of the
// time before were not.
func (s *said) add(now int64) (unsaid uint64, ok bool) {
	if s.since == 0 || now < s.since || now-s.since >= saidTime {
		unsaid = s.unsaid
		*s = said{since: now}
	}
	if ok = s.written < saidMost; ok {
		s.written++
	} else {
		s.unsaid++
	}
	return unsaid, ok
}

func (s *said) format() []byte {
	return []byte(proc.Utoa(uint64(s.since)) + " " + proc.Utoa(s.written) + " " + proc.Utoa(s.unsaid) + "\n")
}

// parseSaid reads what format wrote; nothing of what it did not.
func parseSaid(b []byte) said {
	var v [3]uint64
	words := bytes.Fields(b)
	if len(words) != len(v) {
		return said{}
	}
	for i, w := range words {
		n, ok := proc.Uint(w)
		if !ok || n >= 1<<62 {
			return said{}
		}
		v[i] = n
	}
	return said{int64(v[0]), v[1], v[2]}
}

// mayLog tells whether another line may go to the kernel's log, and how many
// could not since it was last said. Where nothing can be kept all may.
func (r *Registry) mayLog(now int64) (unsaid uint64, ok bool) {
	if r.Open() != nil {
		return 0, true
	}
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(r.fd, saidFile, flags, 0o600)
	if err != nil {
		return 0, true
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != unix.Geteuid() {
		return 0, true
	}
	// Its owner needs the lock for a moment only, unless it is stopped there.
	for n := 0; unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil; n++ {
		if n == 20 {
			return 0, true
		}
		clock.Sleep(time.Millisecond)
	}
	var b [96]byte
	n, err := unix.Pread(fd, b[:], 0)
	if err != nil {
		return 0, true
	}
	s := parseSaid(b[:n])
	unsaid, ok = s.add(now)
	text := s.format()
	if limits.FileSize(int64(len(text))) != nil {
		return unsaid, true
	}
	if len(text) < n {
		_ = unix.Ftruncate(fd, 0)
	}
	if _, err := unix.Pwrite(fd, text, 0); err != nil {
		return unsaid, true
	}
	return unsaid, ok
}
