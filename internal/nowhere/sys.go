// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package nowhere

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// start is never called from Go: it is an ELF entry point, in assembly.
//
//lint:ignore U1000 the linker's -E names it
func start()

// sys is a raw system call. What it returns is the kernel's answer, an error as
// -errno.
//
//go:noescape
func sys(nr, a, b, c, d, e, f uintptr) uintptr

const enoent = -int(syscall.ENOENT)

// open opens a file for reading. path ends with NUL.
func open(dir int, path *byte, flags int) (fd int) {
	return int(sys(syscall.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(path)),
		uintptr(flags|syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC|unix.O_LARGEFILE), 0, 0, 0))
}

func closeFD(fd int) { sys(syscall.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0, 0) }

func read(fd int, b []byte) int {
	return int(sys(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0))
}

// pread reads at an offset that 28 bits hold.
func pread(fd int, b []byte, at uint32) int {
	p, n := uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))
	if unsafe.Sizeof(p) == 8 {
		return int(sys(unix.SYS_PREAD64, uintptr(fd), p, n, uintptr(at), 0, 0))
	}
	// arm: 64 bits go into an even register and the next one
	return int(sys(unix.SYS_PREAD64, uintptr(fd), p, n, 0, uintptr(at), 0))
}

func getdents(fd int, b []byte) int {
	return int(sys(unix.SYS_GETDENTS64, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0))
}

// plain is a whole file of the configuration, in scratch.file; ok is false if
// it is no regular file, too large, or cannot be read. /dev/null, which stands
// for an empty file, is one.
func plain(fd int) (data []byte, ok bool) {
	var st unix.Stat_t
	if int(sys(sysFstat, uintptr(fd), uintptr(unsafe.Pointer(&st)), 0, 0, 0, 0)) != 0 {
		return nil, false
	}
	const null = 1<<8 | 3
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFCHR:
		return nil, st.Rdev == null
	default:
		return nil, false
	}
	// Package kmod reads as much as the file has; of one that says nothing of its
	// size (on procfs), until it ends.
	if st.Size <= 0 || st.Size > int64(len(scratch.file)) {
		return nil, st.Size == 0 && read(fd, scratch.file[:]) == 0
	}
	size, n := int(st.Size), 0
	for n < size {
		m := read(fd, scratch.file[n:size])
		if m <= 0 {
			return nil, false
		}
		n += m
	}
	return scratch.file[:n], true
}

func exit(code uintptr) {
	for {
		sys(syscall.SYS_EXIT_GROUP, code, 0, 0, 0, 0, 0)
	}
}
