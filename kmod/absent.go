// SPDX-License-Identifier: Apache-2.0

package kmod

import "golang.org/x/sys/unix"

// request is what an index is asked for: by Search, or if wild by SearchWild.
type request struct {
	key  string
	wild bool
}

const (
	// A node with all children that it can have takes 512 bytes and its prefix.
	absentNode = 768
	// In a real tree most names part from the keys within a few nodes.
	absentDepth = 16
)

var nodeBuffer [absentNode]byte

// absent tells whether the index that is open at fd certainly has nothing for
// r. It reads only the nodes on the way: for most of the names that the
// kernel asks for there is nothing in any index, and to map a file, touch two
// of its pages and unmap them costs some six times as much as two nodes read.
// Where it cannot tell, it says no.
func (r *request) absent(fd int) bool {
	buf := &nodeBuffer
	n, err := unix.Pread(fd, buf[:headerSize], 0)
	if err != nil {
		return false
	}
	offset, err := header("", buf[:n])
	if err != nil {
		return false
	}
	key := r.key
	for range absentDepth {
		at := offset & nodeMask
		if at == 0 {
			return true
		}
		n, err := unix.Pread(fd, buf[:], int64(at))
		if err != nil {
			return false
		}
		node, ok := decode(offset, buf[:n])
		if !ok {
			return n == 0
		}
		for i := 0; i < len(node.prefix); i++ {
			c := node.prefix[i]
			if r.wild && isWild(c) {
				return false
			}
			if key == "" || c != key[0] {
				return true
			}
			key = key[1:]
		}
		if r.wild && (node.child('*') != 0 || node.child('?') != 0 || node.child('[') != 0) {
			return false
		}
		if key == "" {
			return node.count == 0
		}
		offset = node.child(key[0])
		key = key[1:]
	}
	return false
}

func isWild(c byte) bool { return c == '*' || c == '?' || c == '[' }
