// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The layout of an index file as depmod(8) writes it (kmod,
// libkmod/libkmod-index.c): big-endian words, a header of magic, version and
// the root's offset, then the nodes of a radix tree. The high bits of a node's
// offset say which of its parts are present.
const (
	indexMagic   = 0xB007F457
	indexMajor   = 2
	headerSize   = 12
	nodePrefix   = 0x80000000
	nodeValues   = 0x40000000
	nodeChildren = 0x20000000
	nodeMask     = 0x0FFFFFFF
	childMax     = 128

	// depmod never writes a key longer than a line of modules.alias; a
	// deeper tree is a damaged file that points back into itself.
	maxDepth = 4096
)

// Index is one of the binary files beside modules.dep: a map from keys, which
// may be patterns, to values with a priority.
//
// No offset of the file is trusted: a damaged index yields fewer answers,
// never a fault and never an endless search.
type Index struct {
	data []byte
	root uint32
}

// BadIndexError says that a file is not an index this package can read.
type BadIndexError struct {
	Path string
	// What is "magic" or "version"; empty if the file is too short.
	What      string
	Got, Want uint32
}

func (e *BadIndexError) Error() string {
	if e.What == "" {
		return e.Path + ": too short for a module index (run depmod)"
	}
	return e.Path + ": wrong index " + e.What + " (run depmod of the same machine)"
}

// OpenIndex maps the index at path. Errors are [syscall.Errno] of open(2),
// fstat(2) or mmap(2), or a *[BadIndexError]. The mapping stays for the life
// of the process, because strings handed out refer to it.
func OpenIndex(path string) (*Index, error) { return openIndex("", path, nil) }

// openIndex is OpenIndex of a file of dir. If a request is given of which
// nothing is in the index, neither an index nor an error is returned.
func openIndex(dir, name string, r *request) (*Index, error) {
	fd, err := openIn(dir, name, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if r != nil && r.absent(fd) {
		return nil, nil
	}
	path := join(dir, name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size < headerSize {
		return nil, &BadIndexError{Path: path}
	}
	// Offsets have 28 bits: nothing beyond can be addressed.
	size := uintptr(min(st.Size, nodeMask+1))
	p, err := unix.MmapPtr(fd, 0, nil, size, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	ix, err := newIndex(path, unsafe.Slice((*byte)(p), size))
	if err != nil {
		_ = unix.MunmapPtr(p, size)
		return nil, err
	}
	return ix, nil
}

func newIndex(path string, data []byte) (*Index, error) {
	root, err := header(path, data)
	if err != nil {
		return nil, err
	}
	return &Index{data: data, root: root}, nil
}

// header checks what an index begins with, and gives the root's offset.
func header(path string, data []byte) (root uint32, err error) {
	if len(data) < headerSize {
		return 0, &BadIndexError{Path: path}
	}
	if m := be32(data); m != indexMagic {
		return 0, &BadIndexError{Path: path, What: "magic", Got: m, Want: indexMagic}
	}
	if v := be32(data[4:]) >> 16; v != indexMajor {
		return 0, &BadIndexError{Path: path, What: "version", Got: v, Want: indexMajor}
	}
	return be32(data[8:]), nil
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// bstr views b as a string. Used only on mapped files, which are never
// unmapped once handed out.
func bstr(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

type node struct {
	prefix   string
	first    int
	children []byte // 4 bytes a child
	values   []byte // from the first value to the end of the file
	count    uint32
}

// node decodes the node at offset; ok is false for a missing or damaged one.
func (ix *Index) node(offset uint32) (n node, ok bool) {
	at := offset & nodeMask
	if at == 0 || int64(at) >= int64(len(ix.data)) {
		return n, false
	}
	return decode(offset, ix.data[at:])
}

// decode decodes the node at offset, which p begins with; ok is false if it is
// damaged or p ends before it.
func decode(offset uint32, p []byte) (n node, ok bool) {
	if offset&nodePrefix != 0 {
		if n.prefix, p, ok = cstring(p); !ok {
			return n, false
		}
	}
	if offset&nodeChildren != 0 {
		if len(p) < 2 {
			return n, false
		}
		first, last := int(p[0]), int(p[1])
		size := 4 * (last - first + 1)
		if first > last || last >= childMax || len(p)-2 < size {
			return n, false
		}
		n.first, n.children, p = first, p[2:2+size], p[2+size:]
	}
	if offset&nodeValues != 0 {
		if len(p) < 4 {
			return n, false
		}
		n.count, n.values = be32(p), p[4:]
	}
	return n, true
}

// cstring takes a string ended by NUL from p.
func cstring(p []byte) (s string, rest []byte, ok bool) {
	for i, c := range p {
		if c == 0 {
			return bstr(p[:i]), p[i+1:], true
		}
	}
	return "", nil, false
}

func (n *node) child(c byte) uint32 {
	i := (int(c) - n.first) * 4
	if i < 0 || i >= len(n.children) {
		return 0
	}
	return be32(n.children[i:])
}

// each calls f for the values of n in the file's order, until f returns false
// or the file ends.
func (n *node) each(f func(priority uint32, value string) bool) {
	p := n.values
	for range n.count {
		if len(p) < 4 {
			return
		}
		priority := be32(p)
		value, rest, ok := cstring(p[4:])
		if !ok || !f(priority, value) {
			return
		}
		p = rest
	}
}

// Search returns the first value of exactly this key.
func (ix *Index) Search(key string) (value string, ok bool) {
	offset := ix.root
	for {
		n, valid := ix.node(offset)
		if !valid || len(key) < len(n.prefix) || key[:len(n.prefix)] != n.prefix {
			return "", false
		}
		key = key[len(n.prefix):]
		if key == "" {
			n.each(func(_ uint32, v string) bool {
				value, ok = v, true
				return false
			})
			return value, ok
		}
		offset = n.child(key[0])
		key = key[1:]
	}
}

// Values collects what a search found, by ascending priority. Of two with the
// same priority the one found later comes first, as in libkmod's add_value.
type Values struct {
	priority []uint32
	value    []string
}

func (v *Values) add(priority uint32, value string) {
	i := 0
	for i < len(v.priority) && v.priority[i] < priority {
		i++
	}
	v.priority = append(v.priority, 0)
	v.value = append(v.value, "")
	copy(v.priority[i+1:], v.priority[i:])
	copy(v.value[i+1:], v.value[i:])
	v.priority[i], v.value[i] = priority, value
}

// SearchWild returns the values of all keys that match name, the keys being
// taken as fnmatch(3) patterns.
func (ix *Index) SearchWild(name string) []string {
	var s wildSearch
	s.ix, s.budget = ix, len(ix.data)
	s.descend(name)
	return s.out.value
}

type wildSearch struct {
	ix      *Index
	out     Values
	pattern []byte
	// What nodes and values may still be visited, with the length of their
	// text: in a sound file they are no more than its bytes.
	budget int
}

// descend follows name from the root as long as the keys are plain text.
func (s *wildSearch) descend(name string) {
	offset := s.ix.root
	for {
		n, ok := s.ix.node(offset)
		if !ok {
			return
		}
		for j := 0; j < len(n.prefix); j++ {
			c := n.prefix[j]
			if isWild(c) {
				s.all(&n, n.prefix[j:], name, 0)
				return
			}
			if name == "" || c != name[0] {
				return
			}
			name = name[1:]
		}
		for _, c := range [...]byte{'*', '?', '['} {
			child, ok := s.ix.node(n.child(c))
			if ok {
				s.pattern = append(s.pattern[:0], c)
				s.all(&child, child.prefix, name, 0)
				s.pattern = s.pattern[:0]
			}
		}
		if name == "" {
			s.take(&n)
			return
		}
		offset = n.child(name[0])
		name = name[1:]
	}
}

// all visits everything below n, whose key so far is s.pattern+prefix and
// contains a wildcard.
func (s *wildSearch) all(n *node, prefix, name string, depth int) {
	if s.budget -= 1 + len(prefix); s.budget < 0 || depth > maxDepth {
		return
	}
	mark := len(s.pattern)
	s.pattern = append(s.pattern, prefix...)
	for i := 0; i < len(n.children); i += 4 {
		child, ok := s.ix.node(be32(n.children[i:]))
		if ok {
			s.pattern = append(s.pattern, byte(n.first+i/4))
			s.all(&child, child.prefix, name, depth+1)
			s.pattern = s.pattern[:len(s.pattern)-1]
		}
	}
	if n.count > 0 && Fnmatch(bstr(s.pattern), name) {
		s.take(n)
	}
	s.pattern = s.pattern[:mark]
}

func (s *wildSearch) take(n *node) {
	n.each(func(priority uint32, value string) bool {
		s.budget -= 1 + len(value)
		s.out.add(priority, value)
		return s.budget > 0
	})
}

// Dump calls f with each key and value in the order of the tree.
func (ix *Index) Dump(f func(key []byte, value string)) {
	budget := len(ix.data)
	var key []byte
	var walk func(offset uint32, depth int)
	walk = func(offset uint32, depth int) {
		n, ok := ix.node(offset)
		if budget -= 1 + len(n.prefix); !ok || budget < 0 || depth > maxDepth {
			return
		}
		mark := len(key)
		key = append(key, n.prefix...)
		n.each(func(_ uint32, value string) bool {
			f(key, value)
			budget -= 1 + len(value)
			return budget > 0
		})
		for i := 0; i < len(n.children); i += 4 {
			key = append(key, byte(n.first+i/4))
			walk(be32(n.children[i:]), depth+1)
			key = key[:len(key)-1]
		}
		key = key[:mark]
	}
	walk(ix.root, 0)
}

// Errno returns the errno behind err, or EINVAL.
func Errno(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return syscall.EINVAL
}
