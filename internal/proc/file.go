// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"

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
	path := Itoa(pid) + "/fd/" + Itoa(fd)
	file, err := f.identity(pid, path)
	if err != nil {
		return File{}, err
	}
	if !f.enter(pid) {
		return File{}, ErrHeld
	}
	defer f.leave()
	var b [4096]byte
	n, err := unix.Readlinkat(f.fd, path, b[:])
	if err != nil {
		return File{}, err
	}
	file.Path = string(b[:n])
	return file, nil
}

// OpenFile opens for reading what is open as a process's descriptor, and tells
// whose it is. The descriptor is the process's, and may be another file by now;
// to open a device does something (a watchdog starts, a tape rewinds). So
// nothing but a plain file is opened, once it is held and known to be one.
func (f *FS) OpenFile(pid, fd int) (h int, owner uint32, err error) {
	if !f.enter(pid) {
		return -1, 0, ErrHeld
	}
	held, err := openat(f.fd, Itoa(pid)+"/fd/"+Itoa(fd), unix.O_PATH|unix.O_CLOEXEC)
	f.leave()
	if err != nil {
		return -1, 0, err
	}
	defer unix.Close(held)
	if !f.enter(pid) {
		return -1, 0, ErrHeld
	}
	defer f.leave()
	st, err := statFile(held, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return -1, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, 0, unix.EINVAL
	}
	h, err = openat(f.fd, "self/fd/"+Itoa(held), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK)
	return h, st.Uid, err
}

// Descriptors calls yield for each open file of a process, with what the kernel
// calls it, cut to so many bytes, until it returns false.
func (f *FS) Descriptors(pid, length int, yield func(fd int, link string) bool) error {
	if !f.enter(pid) {
		return ErrHeld
	}
	fds, err := openat(f.fd, Itoa(pid)+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	f.leave()
	if err != nil {
		return err
	}
	defer unix.Close(fds)
	link := make([]byte, length)
	return readNumbers(fds, func(fd int) bool {
		n, err := 0, ErrHeld
		f.Ask(pid, func() { n, err = unix.Readlinkat(fds, Itoa(fd), link) })
		return err != nil || yield(fd, string(link[:n]))
	})
}

// statFile asks for what is known of a file, and not its server, which may be
// dead (statx(2), Linux 4.11).
func statFile(dir int, path string, flags int) (unix.Stat_t, error) {
	var x unix.Statx_t
	err := unix.Statx(dir, path, flags|unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT,
		unix.STATX_TYPE|unix.STATX_MODE|unix.STATX_UID|unix.STATX_INO, &x)
	var st unix.Stat_t
	if err == unix.ENOSYS {
		return st, unix.Fstatat(dir, path, &st, flags)
	}
	st.Dev, st.Ino = devOf(&x), x.Ino
	st.Mode, st.Uid = uint32(x.Mode), x.Uid
	return st, err
}

// devOf is a device's number as stat(2) and the kernel's events have it.
func devOf(x *unix.Statx_t) uint64 { return unix.Mkdev(x.Dev_major, x.Dev_minor) }

// Exe tells which file the process runs, without its path; an error for kernel
// threads.
func (f *FS) Exe(pid int) (File, error) {
	return f.identity(pid, Itoa(pid)+"/exe")
}

// identity follows one of the links that lead to a file itself, whatever its
// name.
func (f *FS) identity(pid int, path string) (File, error) {
	if !f.enter(pid) {
		return File{}, ErrHeld
	}
	defer f.leave()
	st, err := statFile(f.fd, path, 0)
	if err != nil {
		return File{}, err
	}
	return File{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}, nil
}

// Lines calls yield for each line without its newline.
func Lines(b []byte, yield func(line []byte) bool) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
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
