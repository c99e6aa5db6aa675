// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package nowhere

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

const (
	atFDCWD    = unix.AT_FDCWD
	moduleRoot = "/lib/modules/"
)

// noTree stands for the descriptor of a module tree that is not there: to kmod
// it is one without any file.
const noTree = -1

// tree opens the directory of the module tree.
func (q *question) tree() (fd int, ok bool) {
	version := q.version
	if version == "" {
		u := (*unix.Utsname)(unsafe.Pointer(&scratch.file))
		if int(sys(syscall.SYS_UNAME, uintptr(unsafe.Pointer(u)), 0, 0, 0, 0, 0)) != 0 {
			return -1, false
		}
		version = syntax.Text(syntax.UntilNUL(u.Release[:]))
	}
	path := &scratch.path
	n := len(q.root) + len(moduleRoot) + len(version)
	if n >= len(path) {
		return -1, false
	}
	put(path[:], q.root)
	put(path[len(q.root):], moduleRoot)
	put(path[len(q.root)+len(moduleRoot):], version)
	path[n] = 0
	fd = open(atFDCWD, &path[0], unix.O_PATH|unix.O_DIRECTORY)
	if fd == enoent {
		return noTree, true
	}
	return fd, fd >= 0
}

// inNoIndex asks the indexes as kmod.Lookup does.
func (q *question) inNoIndex(tree int) bool {
	return (contains(q.key, ':') || q.absent(tree, "modules.dep.bin\x00", false)) &&
		(!starts(q.key, "symbol:") || q.absent(tree, "modules.symbols.bin\x00", true)) &&
		q.absent(tree, "modules.alias.bin\x00", true) &&
		q.absent(tree, "modules.builtin.bin\x00", false) &&
		q.absent(tree, "modules.builtin.alias.bin\x00", true)
}

// absent tells whether an index certainly has nothing for the name. An index
// that is not there has nothing.
func (q *question) absent(tree int, file string, wild bool) bool {
	if tree == noTree {
		return true
	}
	fd := open(tree, cpath(file), 0)
	if fd < 0 {
		return fd == enoent
	}
	step := syntax.Unknown
	if n := pread(fd, scratch.node[:syntax.HeaderSize], 0); n == syntax.HeaderSize {
		w := syntax.Walk{Key: q.key, Wild: wild}
		step = w.Begin(scratch.node[:n])
		for step == syntax.Deeper {
			if n = pread(fd, scratch.node[:], w.At()); n < 0 {
				step = syntax.Unknown
				break
			}
			step = w.Node(scratch.node[:n])
		}
	}
	closeFD(fd)
	return step == syntax.Absent
}

func contains(s string, c byte) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == c {
			return true
		}
	}
	return false
}
