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

// OpenFile opens for reading what is open as a process's descriptor, and tells
// whose it is. The descriptor is the process's, and may be another file by now;
// to open a device does something (a watchdog starts, a tape rewinds). So
// nothing but a plain file is opened, once it is held and known to be one.
func (f *FS) OpenFile(pid, fd int) (h int, owner uint32, err error) {
	held, err := openat(f.fd, Itoa(pid)+"/fd/"+Itoa(fd), unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return -1, 0, err
	}
	defer unix.Close(held)
	var st unix.Stat_t
	if err := unix.Fstat(held, &st); err != nil {
		return -1, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, 0, unix.EINVAL
	}
	h, err = openat(f.fd, "self/fd/"+Itoa(held), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK)
	return h, st.Uid, err
}

// Exe tells which file the process runs, without its path; an error for kernel
// threads.
func (f *FS) Exe(pid int) (File, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(f.fd, Itoa(pid)+"/exe", &st, 0); err != nil {
		return File{}, err
	}
	return File{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}, nil
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
