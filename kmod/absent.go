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
}

// absent tells whether the index that is open at fd certainly has nothing for
// r. It reads into buf, and only the nodes on the way: for most of the names that the
// kernel asks for there is nothing in any index, and to map a file, touch two
// of its pages and unmap them costs some six times as much as two nodes read.
// Where it cannot tell, it says no.
func (r *request) absent(fd int, buf *[syntax.NodeSize]byte) bool {
	n, err := unix.Pread(fd, buf[:syntax.HeaderSize], 0)
	if err != nil {
		return false
	}
	w := syntax.Walk{Key: r.key, Wild: r.wild}
	step := w.Begin(buf[:n])
	for step == syntax.Deeper {
		n, err := unix.Pread(fd, buf[:], int64(w.At()))
		if err != nil {
			return false
		}
		step = w.Node(buf[:n])
	}
	return step == syntax.Absent
}
