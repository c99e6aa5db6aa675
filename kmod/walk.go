// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// request is what is searched in an index: by SearchWild if wild, else by Search.
type request struct {
	key  string
	wild bool

	// What Search would give, where it was found without it.
	value string
	found bool
}

// answered reports whether the index open at fd certainly has nothing for r, or has
// its value, which it keeps in s. If it cannot tell, it returns false. It reads only
// the nodes on the way: most names that the kernel requests are in no index, and to
// map a file, touch two of its pages and unmap it costs some six times as much as to
// read two nodes.
func (r *request) answered(fd int, s *scratch) bool {
	buf := &s.node
	n, err := unix.Pread(fd, buf[:syntax.HeaderSize], 0)
	if err != nil {
		return false
	}
	w := syntax.Walk{Key: r.key, Wild: r.wild}
	step := w.Begin(buf[:n])
	for step == syntax.Deeper {
		if n, err = unix.Pread(fd, buf[:], int64(w.At())); err != nil {
			return false
		}
		step = w.Node(buf[:n])
	}
	if step != syntax.Present {
		return step == syntax.Absent
	}
	value, ok := w.Value(buf[:n])
	if ok {
		kept := s.keep(len(value))
		copy(kept, value)
		r.value, r.found = bstr(kept), true
	}
	return ok
}
