// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// depmod never writes a key longer than a line of modules.alias; a deeper tree
// is a damaged file that points back into itself.
const maxDepth = 4096

// Index is one of the binary files beside modules.dep. It maps keys, which may be
// patterns, to values with a priority.
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
func OpenIndex(path string) (*Index, error) { return openIndex(nil, "", path, nil) }

// openIndex is OpenIndex of a file of dir, by way of s, which may be nil without a request. If a request is given that
// is answered without the mapping, neither an index nor an error is returned.
func openIndex(s *scratch, dir, name string, r *request) (*Index, error) {
	fd, err := s.openIn(dir, name, unix.O_NONBLOCK) // a pipe is not waited for
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if r != nil && r.answered(fd, s) {
		return nil, nil
	}
	path := join(dir, name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size < syntax.HeaderSize {
		return nil, &BadIndexError{Path: path}
	}
	// Offsets have 28 bits: nothing beyond can be addressed.
	size := uintptr(min(st.Size, syntax.NodeMask+1))
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

// unmap ends the index, and with it all strings that were found in it.
func (ix *Index) unmap() {
	_ = unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(ix.data)), uintptr(len(ix.data)))
	ix.data, ix.root = nil, 0
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
	if len(data) < syntax.HeaderSize {
		return 0, &BadIndexError{Path: path}
	}
	h := syntax.ReadHeader(data)
	if h.Magic != syntax.IndexMagic {
		return 0, &BadIndexError{Path: path, What: "magic", Got: h.Magic, Want: syntax.IndexMagic}
	}
	if h.Major != syntax.IndexMajor {
		return 0, &BadIndexError{Path: path, What: "version", Got: h.Major, Want: syntax.IndexMajor}
	}
	return h.Root, nil
}

// bstr views b as a string. b must not change any more, which holds for mapped files
// and for what is kept of them.
func bstr(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// node decodes the node at offset; ok is false for a missing or damaged one.
func (ix *Index) node(offset uint32) (n syntax.Node, ok bool) {
	at := offset & syntax.NodeMask
	if at == 0 || int64(at) >= int64(len(ix.data)) {
		return n, false
	}
	return syntax.Decode(offset, ix.data[at:])
}

// each calls f for the values of n in the file's order, until f returns false
// or the file ends.
func each(n *syntax.Node, f func(priority uint32, value string) bool) {
	p := n.Values
	for range n.Count {
		if len(p) < 4 {
			return
		}
		priority := syntax.BE32(p)
		value, rest, ok := syntax.CString(p[4:])
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
		if !valid || len(key) < len(n.Prefix) || key[:len(n.Prefix)] != n.Prefix {
			return "", false
		}
		key = key[len(n.Prefix):]
		if key == "" {
			each(&n, func(_ uint32, v string) bool {
				value, ok = v, true
				return false
			})
			return value, ok
		}
		offset = n.Child(key[0])
		key = key[1:]
	}
}

// values collects what a search found, by ascending priority. Of two with the
// same priority the one found later comes first, as in libkmod's add_value.
type values struct {
	priority []uint32
	value    []string
}

func (v *values) add(priority uint32, value string) {
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
	out     values
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
		for j := 0; j < len(n.Prefix); j++ {
			c := n.Prefix[j]
			if syntax.IsWild(c) {
				s.all(&n, n.Prefix[j:], name, 0)
				return
			}
			if name == "" || c != name[0] {
				return
			}
			name = name[1:]
		}
		for _, c := range [...]byte{'*', '?', '['} {
			child, ok := s.ix.node(n.Child(c))
			if ok {
				s.pattern = append(s.pattern[:0], c)
				s.all(&child, child.Prefix, name, 0)
				s.pattern = s.pattern[:0]
			}
		}
		if name == "" {
			s.take(&n)
			return
		}
		offset = n.Child(name[0])
		name = name[1:]
	}
}

// all visits everything below n, whose key so far is s.pattern+prefix and
// contains a wildcard.
func (s *wildSearch) all(n *syntax.Node, prefix, name string, depth int) {
	if s.budget -= 1 + len(prefix); s.budget < 0 || depth > maxDepth {
		return
	}
	mark := len(s.pattern)
	s.pattern = append(s.pattern, prefix...)
	for i := 0; i < len(n.Children); i += 4 {
		child, ok := s.ix.node(syntax.BE32(n.Children[i:]))
		if ok {
			s.pattern = append(s.pattern, byte(n.First+i/4))
			s.all(&child, child.Prefix, name, depth+1)
			s.pattern = s.pattern[:len(s.pattern)-1]
		}
	}
	if n.Count > 0 && Fnmatch(bstr(s.pattern), name) {
		s.take(n)
	}
	s.pattern = s.pattern[:mark]
}

func (s *wildSearch) take(n *syntax.Node) {
	each(n, func(priority uint32, value string) bool {
		s.budget -= 1 + len(value)
		s.out.add(priority, value)
		return s.budget > 0
	})
}

// Dump calls f with each key and value in the order of the tree. whole is false where a part of the index is damaged or
// missing: who looks up a name passes over it in silence, as kmod does. (An index may begin with its root, as kmod 34's
// depmod writes it: then one that is cut short still holds names.)
func (ix *Index) Dump(f func(key []byte, value string)) (whole bool) {
	whole = true
	budget := len(ix.data)
	var key []byte
	var walk func(offset uint32, depth int)
	walk = func(offset uint32, depth int) {
		n, ok := ix.node(offset)
		if budget -= 1 + len(n.Prefix); !ok || budget < 0 || depth > maxDepth {
			// A child that is not there has no offset, and a node without flags holds nothing.
			whole = whole && (offset&syntax.NodeMask == 0 || offset&^syntax.NodeMask == 0)
			return
		}
		mark, left := len(key), n.Count
		key = append(key, n.Prefix...)
		each(&n, func(_ uint32, value string) bool {
			f(key, value)
			left--
			budget -= 1 + len(value)
			return budget > 0
		})
		whole = whole && left == 0
		for i := 0; i < len(n.Children); i += 4 {
			key = append(key, byte(n.First+i/4))
			walk(syntax.BE32(n.Children[i:]), depth+1)
			key = key[:len(key)-1]
		}
		key = key[:mark]
	}
	walk(ix.root, 0)
	return whole
}
