// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

// Package dirents reads directories that have thousands of entries, and looks at these: by raw system calls, of which the
// scheduler is not told, and with names as the kernel has put them, of which none is copied. Nothing may run beside it that
// waits for its processor.
package dirents

import (
	"syscall"
	"unsafe"
)

// The kinds of an entry, of getdents(2). Other kinds, and that of a file system that does not say, have other numbers.
const (
	Directory = 4
	Regular   = 8
)

// Dir is the descriptor of an open directory.
type Dir int

const flags = syscall.O_RDONLY | syscall.O_DIRECTORY | syscall.O_CLOEXEC | syscall.O_LARGEFILE

// Open opens a directory by its path.
func Open(path string) (Dir, error) {
	fd, err := syscall.Open(path, flags, 0)
	return Dir(fd), err
}

// Open opens an entry of the directory, which is one itself.
func (d Dir) Open(e Entry) (Dir, error) {
	for {
		fd, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, uintptr(d), uintptr(unsafe.Pointer(unsafe.StringData(e.Name))), flags, 0, 0, 0)
		if errno == 0 {
			return Dir(fd), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// Stat looks at an entry, and at what it leads to if that is a link.
func (d Dir) Stat(e Entry, st *syscall.Stat_t) error {
	_, _, errno := syscall.RawSyscall6(sysFstatat, uintptr(d), uintptr(unsafe.Pointer(unsafe.StringData(e.Name))), uintptr(unsafe.Pointer(st)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Close closes the directory.
func (d Dir) Close() {
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(d), 0, 0)
}

// Entry is one of a directory. Its name lies in the buffer that it was read into, with a zero behind it, and is good until
// the next entry is asked for.
type Entry struct {
	Name string
	Kind byte
}

// Named is an entry that is known by its name, of whatever kind.
func Named(name string) Entry { return Entry{Name: (name + "\x00")[:len(name)]} }

// Newer tells whether one time of a file is after another, to the nanosecond.
func Newer(a, b syscall.Timespec) bool { return a.Sec > b.Sec || a.Sec == b.Sec && a.Nsec > b.Nsec }

// Buffers are for reading directories, one for each level of them.
type Buffers [][]byte

// Entries calls yield for each entry of an open directory but "." and "..", until it returns false. The level is that below
// the first directory.
func (b *Buffers) Entries(d Dir, level int) func(yield func(Entry) bool) {
	for len(*b) <= level {
		*b = append(*b, make([]byte, 16<<10))
	}
	buf := (*b)[level]
	return func(yield func(Entry) bool) {
		for {
			n, _, errno := syscall.RawSyscall(syscall.SYS_GETDENTS64, uintptr(d), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
			if errno == syscall.EINTR {
				continue
			}
			if errno != 0 || n == 0 {
				return
			}
			for rest := buf[:n]; len(rest) > 0; {
				const size, kind, name = 16, 18, 19 // struct linux_dirent64
				e := rest[:*(*uint16)(unsafe.Pointer(&rest[size]))]
				rest = rest[len(e):]
				s := e[name:]
				for i := range s {
					if s[i] == 0 {
						s = s[:i]
						break
					}
				}
				if string(s) == "." || string(s) == ".." {
					continue
				}
				if !yield(Entry{unsafe.String(unsafe.SliceData(s), len(s)), e[kind]}) {
					return
				}
			}
		}
	}
}
