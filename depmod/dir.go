// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"encoding/binary"
	"iter"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dir is the descriptor of an open directory. A tree has thousands of entries and nothing runs beside the look at them,
// so its system calls are raw: the scheduler is not told, and no name is copied for the kernel.
type dir int

// openDir opens a directory by its path.
func openDir(path string) (dir, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return dir(fd), err
}

// open opens an entry of the directory, which is one itself.
func (d dir) open(e entry) (dir, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC | unix.O_LARGEFILE
	for {
		fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(d), uintptr(unsafe.Pointer(unsafe.StringData(e.name))), flags, 0, 0, 0)
		if errno == 0 {
			return dir(fd), nil
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// stat looks at an entry, and at what it leads to if that is a link.
func (d dir) stat(e entry, st *unix.Stat_t) error {
	_, _, errno := unix.RawSyscall6(sysFstatat, uintptr(d), uintptr(unsafe.Pointer(unsafe.StringData(e.name))), uintptr(unsafe.Pointer(st)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (d dir) close() {
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(d), 0, 0)
}

// entry is one of a directory. Its name lies in the buffer that it was read into, with a zero behind it, and is good until
// the next entry is asked for.
type entry struct {
	name string
	kind byte // unix.DT_REG and the like
}

// buffers are for reading directories, one for each level of them.
type buffers [][]byte

// entries reads an open directory, at that level below the first. Package os
// would allocate for each entry, and look at those whose kind the file system
// does not say.
func (b *buffers) entries(d dir, level int) iter.Seq[entry] {
	for len(*b) <= level {
		*b = append(*b, make([]byte, 16<<10))
	}
	buf := (*b)[level]
	return func(yield func(entry) bool) {
		for {
			n, _, errno := unix.RawSyscall(unix.SYS_GETDENTS64, uintptr(d), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
			if errno == syscall.EINTR {
				continue
			}
			if errno != 0 || n == 0 {
				return
			}
			for rest := buf[:n]; len(rest) > 0; {
				const size, kind, name = 16, 18, 19 // struct linux_dirent64
				e := rest[:binary.NativeEndian.Uint16(rest[size:])]
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
				if !yield(entry{unsafe.String(unsafe.SliceData(s), len(s)), e[kind]}) {
					return
				}
			}
		}
	}
}
