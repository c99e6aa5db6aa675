// SPDX-License-Identifier: Apache-2.0

package syntax

// The layout of an index file as depmod(8) writes it (kmod,
// libkmod/libkmod-index.c): big-endian words, a header of magic, version and
// the root's offset, then the nodes of a radix tree. The high bits of a node's
// offset say which of its parts are present.
const (
	IndexMagic   = 0xB007F457
	IndexMajor   = 2
	HeaderSize   = 12
	NodePrefix   = 0x80000000
	NodeValues   = 0x40000000
	NodeChildren = 0x20000000
	NodeMask     = 0x0FFFFFFF // of an offset: where in the file the node is
	childMax     = 128
)

// BE32 reads a word of an index.
func BE32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// Header is the beginning of an index.
type Header struct {
	Magic, Major uint32
	Root         uint32 // offset of the root
}

// ReadHeader reads it; b has HeaderSize bytes at least.
func ReadHeader(b []byte) Header {
	return Header{BE32(b), BE32(b[4:]) >> 16, BE32(b[8:])}
}

// Valid tells whether this package can read such an index.
func (h Header) Valid() bool { return h.Magic == IndexMagic && h.Major == IndexMajor }

// Node is one node of an index.
type Node struct {
	Prefix   string
	First    int    // the character of the first child
	Children []byte // four bytes for each character from First on
	Values   []byte // from the first value to the end of what was decoded
	Count    uint32 // of values
}

// Decode decodes the node at offset, which p begins with; ok is false if it is
// damaged or p ends before it.
func Decode(offset uint32, p []byte) (n Node, ok bool) {
	if offset&NodePrefix != 0 {
		if n.Prefix, p, ok = CString(p); !ok {
			return n, false
		}
	}
	if offset&NodeChildren != 0 {
		if len(p) < 2 {
			return n, false
		}
		first, last := int(p[0]), int(p[1])
		size := 4 * (last - first + 1)
		if first > last || last >= childMax || len(p)-2 < size {
			return n, false
		}
		n.First, n.Children, p = first, p[2:2+size], p[2+size:]
	}
	if offset&NodeValues != 0 {
		if len(p) < 4 {
			return n, false
		}
		n.Count, n.Values = BE32(p), p[4:]
	}
	return n, true
}

// CString takes a string that NUL ends from p.
func CString(p []byte) (s string, rest []byte, ok bool) {
	for i, c := range p {
		if c == 0 {
			return Text(p[:i]), p[i+1:], true
		}
	}
	return "", nil, false
}

// Child is the offset of the child for c, 0 if there is none.
func (n *Node) Child(c byte) uint32 {
	i := (int(c) - n.First) * 4
	if i < 0 || i >= len(n.Children) {
		return 0
	}
	return BE32(n.Children[i:])
}

// IsWild tells whether a key has a pattern from c on.
func IsWild(c byte) bool { return c == '*' || c == '?' || c == '[' }

const (
	// NodeSize is how much of a node a Walk needs to see at the most: one with
	// all children that it can have takes 512 bytes and its prefix.
	NodeSize = 768
	// In a real tree most names part from the keys within a few nodes.
	walkDepth = 16
)

// Step is what a Walk has found.
type Step int

const (
	Unknown Step = iota // the index may have something for the key
	Absent              // it certainly has nothing
	Deeper              // the node at Walk.At tells
	Present             // it has values for the key itself, of which Walk.Value may give the first
)

// Walk finds out whether an index certainly has nothing for a key, or what it
// has, from the few nodes on the way to where it would be. Whoever uses it reads
// the file.
type Walk struct {
	Key  string
	Wild bool // the keys of the index are patterns

	matched int // of Key
	offset  uint32
	depth   int
}

// Begin takes the beginning of the file.
func (w *Walk) Begin(b []byte) Step {
	if len(b) < HeaderSize {
		return Unknown
	}
	h := ReadHeader(b)
	if !h.Valid() {
		return Unknown
	}
	w.offset = h.Root
	return w.deeper()
}

// At is where in the file the next node is.
func (w *Walk) At() uint32 { return w.offset & NodeMask }

func (w *Walk) deeper() Step {
	if w.At() == 0 {
		return Absent
	}
	if w.depth++; w.depth > walkDepth {
		return Unknown
	}
	return Deeper
}

// Node takes up to NodeSize bytes of the file from At on. As to libkmod, a node
// behind the end of the file is one that is not there.
func (w *Walk) Node(b []byte) Step {
	node, ok := Decode(w.offset, b)
	if !ok {
		if len(b) == 0 {
			return Absent
		}
		return Unknown
	}
	for i := 0; i < len(node.Prefix); i++ {
		c := node.Prefix[i]
		if w.Wild && IsWild(c) {
			return Unknown
		}
		if w.matched == len(w.Key) || c != w.Key[w.matched] {
			return Absent
		}
		w.matched++
	}
	if w.Wild && (node.Child('*') != 0 || node.Child('?') != 0 || node.Child('[') != 0) {
		return Unknown
	}
	if w.matched == len(w.Key) {
		switch {
		case node.Count == 0:
			return Absent
		case w.Wild:
			return Unknown
		}
		return Present
	}
	w.offset = node.Child(w.Key[w.matched])
	w.matched++
	return w.deeper()
}

// Value is the first value of the key, from the bytes with which Node said
// Present. ok is false if they do not hold all of it.
func (w *Walk) Value(b []byte) (value []byte, ok bool) {
	node, ok := Decode(w.offset, b)
	if !ok || len(node.Values) < 4 {
		return nil, false
	}
	text, _, ok := CString(node.Values[4:]) // after the priority
	if !ok {
		return nil, false
	}
	return node.Values[4 : 4+len(text)], true
}
