// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// scratch is where a [Context] keeps what it reads. In a program with one static
// Context it lies in zeroed pages, which cost nothing until they are touched. The
// heap would cost more than the reading itself: a Go program's first allocation of
// each size makes a span.
//
// Its methods work on nil as well; then they allocate.
type scratch struct {
	path   [256]byte
	node   [syntax.NodeSize]byte
	dirent [4096]byte
	arena  [24 << 10]byte
	used   int // of arena
}

// keep returns size zeroed bytes that stay.
func (s *scratch) keep(size int) []byte {
	if s == nil || size > len(s.arena)-s.used {
		return make([]byte, size)
	}
	b := s.arena[s.used : s.used+size : s.used+size]
	s.used += size
	return b
}

// open opens path for reading, as [unix.Open] does.
func (s *scratch) open(path string, flags int) (fd int, err error) { return s.openIn("", path, flags) }

// openIn opens the file name of a directory for reading; dir is "" if name is
// the whole path. A path of usual length is not allocated.
func (s *scratch) openIn(dir, name string, flags int) (fd int, err error) {
	if s == nil || len(dir)+len("/")+len(name) >= len(s.path) {
		return unix.Open(join(dir, name), flags|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	path := &s.path
	n := 0
	if dir != "" {
		n = copy(path[:], dir)
		path[n] = '/'
		n++
	}
	n += copy(path[n:], name)
	path[n] = 0
	if strings.IndexByte(bstr(path[:n]), 0) >= 0 {
		return -1, unix.EINVAL
	}
	here := unix.AT_FDCWD
	r, _, errno := syscall.Syscall6(unix.SYS_OPENAT, uintptr(here), uintptr(unsafe.Pointer(path)),
		uintptr(flags|unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE), 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// join gives the path of what openIn opens.
func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// readFull reads until buf is full or the file ends.
func readFull(fd int, buf []byte) (n int, err error) {
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return n, nil
}

// maxConfigFile bounds what is read of one file, so that a device or a pipe
// named with -C cannot fill the memory.
const maxConfigFile = 64 << 20

// readAll reads to the end or the first error, as libkmod does. Of a plain file it
// reads as much as fstat(2) says, and does not look whether it has grown.
func (s *scratch) readAll(fd int) []byte {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size > 0 && st.Size < maxConfigFile {
		buf := s.keep(int(st.Size))
		n, _ := readFull(fd, buf)
		return buf[:n]
	}
	buf := s.keep(4096)
	n := 0
	for {
		m, err := readFull(fd, buf[n:])
		n += m
		if err != nil || n < len(buf) || n >= maxConfigFile {
			return buf[:n]
		}
		buf = append(buf, make([]byte, len(buf))...)
	}
}

// underscores is [syntax.Underscores] of a string, which stays as it is.
func (s *scratch) underscores(text string) (_ string, ok bool) {
	b := unsafe.Slice(unsafe.StringData(text), len(text))
	if strings.IndexByte(text, '-') >= 0 {
		b = s.keep(len(text))
		copy(b, text)
	}
	ok = syntax.Underscores(b)
	return bstr(b), ok
}
