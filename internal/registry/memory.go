// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"golang.org/x/sys/unix"

	"safeload/internal/limits"
	"safeload/internal/proc"
)

// Where the registry cannot be written (no /run before /init, a full or
// read-only one), an invocation says what it does in a memfd of its own, which
// the others find in /proc/PID/fd. It ends with its process, and only what root
// has made is listened to, of a process that runs the same program. (Whose
// /proc/PID is tells nothing: it is root's for a process that is not dumpable.)
const (
	memoryName = "safeload"
	memoryLink = "/memfd:" + memoryName + " (deleted)"
	memoryMost = 64 // descriptors looked at, of each process
)

// Announce writes e into the memfd, made at the first need.
func (r *Registry) Announce(e Entry) error {
	if r.memory == 0 {
		// vm.memfd_noexec=2 refuses those that could be executed (6.3 and later;
		// before, the flag is not known).
		fd, err := unix.MemfdCreate(memoryName, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL)
		if err == unix.EINVAL {
			fd, err = unix.MemfdCreate(memoryName, unix.MFD_CLOEXEC)
		}
		if err != nil {
			return err
		}
		r.memory = fd
	}
	b := e.format()
	if err := limits.FileSize(int64(len(b))); err != nil {
		return err
	}
	if err := unix.Ftruncate(r.memory, 0); err != nil {
		return err
	}
	_, err := unix.Pwrite(r.memory, b, 0)
	return err
}

func (r *Registry) withdraw() {
	if r.memory != 0 {
		unix.Close(r.memory)
		r.memory = 0
	}
}

// ReadAnnounced reads what a process says in its memfd.
func ReadAnnounced(p *proc.FS, pid int, self proc.File) (Entry, bool) {
	exe, err := p.Exe(pid)
	if err != nil || exe.Dev != self.Dev || exe.Ino != self.Ino {
		return Entry{}, false
	}
	var e Entry
	ok := false
	n := 0
	_ = p.Descriptors(pid, len(memoryLink)+1, func(fd int, link string) bool {
		if n++; n > memoryMost {
			return false
		}
		if link != memoryLink {
			return true
		}
		h, owner, err := p.OpenFile(pid, fd)
		if err != nil {
			return true
		}
		var b [maxEntry]byte
		l, err := unix.Pread(h, b[:], 0)
		unix.Close(h)
		if err == nil && l > 0 && int(owner) == unix.Geteuid() {
			e, ok = parseEntry(b[:l])
			ok = ok && e.PID == pid
		}
		return !ok
	})
	return e, ok
}
