// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// request is what an index is asked for: by Search, or if wild by SearchWild.
type request struct {
	key  string
	wild bool

	// What Search would give, where it was found without it.
	value string
	found bool
}

// answered tells whether the index that is open at fd certainly has nothing for
// r, or has its value, which it keeps in s. It reads only the nodes on the way:
// for most of the names that the kernel asks for there is nothing in any index,
// and to map a file, touch two of its pages and unmap them costs some six times
// as much as two nodes read. Where it cannot tell, it says no.
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
