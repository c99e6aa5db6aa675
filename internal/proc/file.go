// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"golang.org/x/sys/unix"
)

// File is an open file of a process.
type File struct {
	Dev, Ino uint64
	Path     string // as the kernel names it; may end in " (deleted)"
}

// File follows a descriptor of a thread's process. It needs the right to read
// the process (PTRACE_MODE_READ); ENOENT: no such descriptor.
func (f *FS) File(pid, fd int) (File, error) {
	return f.target(Itoa(pid) + "/fd/" + Itoa(fd))
}

// Exe tells which file the process runs; an error for kernel threads.
func (f *FS) Exe(pid int) (File, error) {
	return f.target(Itoa(pid) + "/exe")
}

// target follows one of the links that lead to a file itself, whatever its name.
func (f *FS) target(p string) (File, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, p, &st, 0); err != nil {
		return File{}, err
	}
	var b [4096]byte
	n, err := unix.Readlinkat(f.fd, p, b[:])
	if err != nil {
		return File{}, err
	}
	return File{Dev: uint64(st.Dev), Ino: uint64(st.Ino), Path: string(b[:n])}, nil
}

// Cgroup is the process's path in the hierarchy with the number id (0: the
// unified one), from /proc/PID/cgroup.
func (f *FS) Cgroup(pid, id int) (string, bool) {
	b, err := f.Read(Itoa(pid) + "/cgroup")
	if err != nil {
		return "", false
	}
	return parseCgroup(b, id)
}

func parseCgroup(b []byte, id int) (string, bool) {
	path, found := "", false
	Lines(b, func(line []byte) bool {
		i := indexByte(line, ':')
		if i < 0 {
			return true
		}
		n, ok := Uint(line[:i])
		if !ok || int(n) != id {
			return true
		}
		rest := line[i+1:]
		if j := indexByte(rest, ':'); j >= 0 {
			path, found = string(rest[j+1:]), true
			return false
		}
		return true
	})
	return path, found
}

// Lines calls yield for each line without its newline.
func Lines(b []byte, yield func(line []byte) bool) {
	for len(b) > 0 {
		i := indexByte(b, '\n')
		if i < 0 {
			yield(b)
			return
		}
		if !yield(b[:i]) {
			return
		}
		b = b[i+1:]
	}
}

func indexByte(b []byte, c byte) int {
	for i, x := range b {
		if x == c {
			return i
		}
	}
	return -1
}
