// SPDX-License-Identifier: Apache-2.0

// Package proc reads what /proc and /sys show of tasks and modules, for a
// program that may run where neither is mounted and where every allocation
// counts.
//
// All reading goes through a directory descriptor of a file system that was
// checked to be the kernel's own (statfs(2) magic), so that a file put there
// by somebody else is not believed. Where nothing is mounted, a detached
// instance is made with fsopen(2) and fsmount(2), which needs CAP_SYS_ADMIN
// and Linux 5.2; it is gone with its descriptor.
//
// Everything read is a moment's picture: a task may end between two reads.
// Callers that conclude something from several reads must look twice.
package proc

import (
	"bytes"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FS is an open procfs or sysfs. Its methods share one buffer: an FS must not
// be used by two goroutines at once. What another task may hold up for ever is
// read in [FS.Bounded].
type FS struct {
	fd     int
	buf    []byte
	userns string // our own, once asked for
	hand   *hand  // nil: what is read is waited for
	holds  *holds // of the looks through this FS
	given  int    // how often something was not asked for
	near   struct {
		pid  int // whose outline was read last
		sort sort

		executes bool
	}
}

// OpenProc opens the procfs at /proc, or a detached one. The error is that of
// the last attempt: EPERM without CAP_SYS_ADMIN, ENOSYS before Linux 5.2,
// ENODEV in a kernel without procfs.
func OpenProc() (*FS, error) { return open("/proc", "proc", unix.PROC_SUPER_MAGIC) }

// OpenSys opens the sysfs at /sys, or a detached one; errors as [OpenProc].
func OpenSys() (*FS, error) { return open("/sys", "sysfs", unix.SYSFS_MAGIC) }

func open(dir, kind string, magic int64) (*FS, error) {
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_RDONLY, 0)
	if err == nil {
		var st unix.Statfs_t
		if err := unix.Fstatfs(fd, &st); err == nil && int64(uint32(st.Type)) == magic {
			return &FS{fd: fd}, nil
		}
		unix.Close(fd)
	}
	fd, err = detached(kind)
	if err != nil {
		return nil, err
	}
	return &FS{fd: fd}, nil
}

// detached makes an instance of a file system that no path leads to.
func detached(kind string) (int, error) {
	ctx, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(ctx)
	if err := unix.FsconfigCreate(ctx); err != nil {
		return -1, err
	}
	return unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NODEV)
}

// OpenDir opens a plain directory as if it were the file system, for tests
// and for looking at a recorded one.
func OpenDir(dir string) (*FS, error) {
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	return &FS{fd: fd}, nil
}

// Fd is the directory's descriptor, owned by the FS.
func (f *FS) Fd() int { return f.fd }

// Close releases the descriptor. A nil FS may be closed.
func (f *FS) Close() {
	if f != nil && f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// readLimit bounds what is read of any one file: cmdline and environ may be
// as long as their owner likes.
const readLimit = 128 << 10

// readOf is readShort for what may have to be waited for.
func (f *FS) readOf(pid int, path string) ([]byte, error) {
	if !f.enter(pid) {
		return nil, ErrHeld
	}
	defer f.leave()
	return f.readShort(path, f.hand != nil)
}

// Read returns a file's first 128 KiB. The slice is valid until the next call.
func (f *FS) Read(path string) ([]byte, error) {
	fd, err := openat(f.fd, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if f.buf == nil {
		f.buf = make([]byte, 4096)
	}
	n := 0
	for {
		if n == len(f.buf) {
			if n >= readLimit {
				return f.buf[:n], nil
			}
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
		m, err := unix.Read(fd, f.buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if m == 0 {
			return f.buf[:n], nil
		}
		n += m
	}
}

// readShort returns what a file of one record holds: the kernel gives it whole
// to a read that has room for it (seq_read_iter in fs/seq_file.c), so that no
// second read need ask for the end. A look makes thousands of these. The
// runtime is told only of those that may sleep, as its handing over of the
// processor would cost more than the call.
func (f *FS) readShort(path string, sleeps bool) ([]byte, error) {
	var name [64]byte
	if len(path) >= len(name) {
		return f.Read(path)
	}
	copy(name[:], path)
	if f.buf == nil {
		f.buf = make([]byte, 4096)
	}
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(f.fd), uintptr(unsafe.Pointer(&name[0])), flags, 0, 0, 0)
	if errno == unix.EINTR {
		return f.Read(path)
	}
	if errno != 0 {
		return nil, errno
	}
	read := unix.RawSyscall
	if sleeps {
		read = unix.Syscall
	}
	n, _, errno := read(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&f.buf[0])), uintptr(len(f.buf)))
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	switch {
	case errno == unix.EINTR, errno == 0 && int(n) == len(f.buf):
		return f.Read(path)
	case errno != 0:
		return nil, errno
	}
	return f.buf[:n], nil
}

func openat(dir int, path string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(dir, path, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// dirNumbers calls yield for each entry of a directory whose name is a number.
func (f *FS) dirNumbers(path string, yield func(int) bool) error {
	fd, err := openat(f.fd, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return readNumbers(fd, yield)
}

// readNumbers is readNames for the names that are numbers.
func readNumbers(fd int, yield func(int) bool) error {
	return readNames(fd, func(name string) bool {
		if v, ok := Uint([]byte(name)); ok && v <= 1<<31-1 {
			return yield(int(v))
		}
		return true
	})
}

// ReadNames calls yield for each entry of an open directory, "." and ".."
// left out, until it returns false.
func ReadNames(fd int, yield func(string) bool) error { return readNames(fd, yield) }

// readNames walks getdents64(2) records; their layout is struct
// linux_dirent64: ino 8, off 8, reclen 2, type 1, name.
func readNames(fd int, yield func(string) bool) error {
	buf := make([]byte, 8192)
	for {
		n, err := unix.Getdents(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		for b := buf[:n]; len(b) >= 19; {
			reclen := int(b[16]) | int(b[17])<<8
			if reclen < 19 || reclen > len(b) {
				return unix.EIO
			}
			name := b[19:reclen]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			if s := string(name); s != "." && s != ".." && !yield(s) {
				return nil
			}
			b = b[reclen:]
		}
	}
}

// ReadAt returns a piece of a file that starts at off; empty at its end.
func (f *FS) ReadAt(path string, off int64) ([]byte, error) {
	fd, err := openat(f.fd, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 64<<10)
	n, err := unix.Pread(fd, b, off)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}
