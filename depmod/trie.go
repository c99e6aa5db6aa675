// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"encoding/binary"
	"slices"
	"strings"
	"syscall"

	"safeload/internal/syntax"
)

// trie collects keys with values for a binary index (modules.*.bin), whose
// format libkmod-index.c describes.
type trie struct {
	entries []trieEntry
	known   map[[2]string]bool // only if duplicates are asked for
}

type trieEntry struct {
	key, value string
	priority   uint32
	order      int
}

// badCharacter is a character that an index cannot hold.
type badCharacter struct {
	c    byte
	text string
}

// add adds a value. Of values with the same priority the last one added comes first.
func (t *trie) add(key, value string, priority int) (duplicate bool, bad *badCharacter) {
	for _, s := range [...]string{key, value} {
		for i := 0; i < len(s); i++ {
			if s[i] >= 0x80 {
				return false, &badCharacter{s[i], s}
			}
		}
	}
	if t.known != nil {
		duplicate = t.known[[2]string{key, value}]
		t.known[[2]string{key, value}] = true
	}
	t.entries = append(t.entries, trieEntry{key, value, uint32(priority), len(t.entries)})
	return duplicate, nil
}

// node is a node of the index; its children are in the order of their letters.
type node struct {
	prefix   string
	values   []trieEntry
	first    []byte // the letter of each child
	children []*node
	size     int // of the node alone
	total    int // and with all below it
}

// write returns the index, or EFBIG if it needs larger offsets than the format has.
func (t *trie) write() ([]byte, error) {
	slices.SortFunc(t.entries, func(a, b trieEntry) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		if a.priority != b.priority {
			if a.priority < b.priority {
				return -1
			}
			return 1
		}
		return b.order - a.order
	})
	// The root has no prefix.
	root := &node{}
	root.fill(t.entries, 0)
	root.measure()
	if root.total+syntax.HeaderSize > syntax.NodeMask {
		return nil, syscall.EFBIG
	}
	be := binary.BigEndian
	out := make([]byte, 0, root.total+syntax.HeaderSize)
	out = be.AppendUint32(out, syntax.IndexMagic)
	out = be.AppendUint32(out, syntax.IndexMajor<<16|1)
	out = be.AppendUint32(out, syntax.HeaderSize|root.flags())
	return root.append(out), nil
}

// fill makes the node of entries that agree in the first n bytes of their keys.
func (d *node) fill(entries []trieEntry, n int) {
	for len(entries) > 0 && len(entries[0].key) == n {
		d.values = append(d.values, entries[0])
		entries = entries[1:]
	}
	for len(entries) > 0 {
		c := entries[0].key[n]
		end := 1
		for end < len(entries) && entries[end].key[n] == c {
			end++
		}
		part := entries[:end]
		entries = entries[end:]
		// What the first and the last have in common, all have.
		a, b := part[0].key[n+1:], part[end-1].key[n+1:]
		same := 0
		for same < len(a) && same < len(b) && a[same] == b[same] {
			same++
		}
		child := &node{prefix: a[:same]}
		child.fill(part, n+1+same)
		d.first = append(d.first, c)
		d.children = append(d.children, child)
	}
}

func (d *node) span() int {
	if len(d.first) == 0 {
		return 0
	}
	return int(d.first[len(d.first)-1]-d.first[0]) + 1
}

func (d *node) measure() {
	if d.prefix != "" {
		d.size += len(d.prefix) + 1
	}
	if n := d.span(); n > 0 {
		d.size += 2 + 4*n
	}
	if len(d.values) > 0 {
		d.size += 4
		for _, v := range d.values {
			d.size += 4 + len(v.value) + 1
		}
	}
	d.total = d.size
	for _, c := range d.children {
		c.measure()
		d.total += c.total
	}
}

// Flags of a node's offset.
const (
	flagChildren = 0x20000000
	flagValues   = 0x40000000
	flagPrefix   = 0x80000000
)

func (d *node) flags() (f uint32) {
	if d.prefix != "" {
		f |= flagPrefix
	}
	if len(d.children) > 0 {
		f |= flagChildren
	}
	if len(d.values) > 0 {
		f |= flagValues
	}
	return f
}

// append writes the node and then those below it.
func (d *node) append(out []byte) []byte {
	be := binary.BigEndian
	at := len(out) + d.size
	if d.prefix != "" {
		out = append(append(out, d.prefix...), 0)
	}
	if n := d.span(); n > 0 {
		out = append(out, d.first[0], d.first[len(d.first)-1])
		next := 0
		for c := int(d.first[0]); n > 0; c, n = c+1, n-1 {
			if int(d.first[next]) != c {
				out = be.AppendUint32(out, 0)
				continue
			}
			child := d.children[next]
			next++
			out = be.AppendUint32(out, uint32(at)|child.flags())
			at += child.total
		}
	}
	if len(d.values) > 0 {
		out = be.AppendUint32(out, uint32(len(d.values)))
		for _, v := range d.values {
			out = be.AppendUint32(out, v.priority)
			out = append(append(out, v.value...), 0)
		}
	}
	for _, c := range d.children {
		out = c.append(out)
	}
	return out
}
