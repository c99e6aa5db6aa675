// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

var pathBuffer [256]byte

// open opens path for reading, as [unix.Open] does.
func open(path string, flags int) (fd int, err error) { return openIn("", path, flags) }

// openIn opens the file name of a directory for reading; dir is "" if name is
// the whole path. A path of usual length costs no allocation: see buffer.
func openIn(dir, name string, flags int) (fd int, err error) {
	path := &pathBuffer
	n := 0
	if dir != "" {
		n = copy(path[:], dir)
		if n < len(path) {
			path[n] = '/'
			n++
		}
	}
	if len(dir)+len("/")+len(name) >= len(path) {
		return unix.Open(join(dir, name), flags|unix.O_RDONLY|unix.O_CLOEXEC, 0)
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
