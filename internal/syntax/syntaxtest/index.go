// SPDX-License-Identifier: Apache-2.0

// Package syntaxtest has input for tests of what reads a module tree.
package syntaxtest

import (
	"encoding/binary"

	"safeload/internal/syntax"
)

// Index is a sound index: "a*c" -> one, "abc" -> two, "a[0-9]" -> three.
func Index() []byte {
	var b []byte
	u32 := func(n uint32) { b = binary.BigEndian.AppendUint32(b, n) }
	leaf := func(prefix, value string) uint32 {
		at := uint32(len(b)) | syntax.NodePrefix | syntax.NodeValues
		b = append(append(b, prefix...), 0)
		u32(1)
		u32(7)
		b = append(append(b, value...), 0)
		return at
	}
	u32(syntax.IndexMagic)
	u32(2<<16 | 1)
	u32(0)
	star, bc, class := leaf("c", "one"), leaf("c", "two"), leaf("0-9]", "three")
	root := uint32(len(b)) | syntax.NodePrefix | syntax.NodeChildren
	b = append(b, 'a', 0, '*', 'b')
	for c := byte('*'); c <= 'b'; c++ {
		switch c {
		case '*':
			u32(star)
		case '[':
			u32(class)
		case 'b':
			u32(bc)
		default:
			u32(0)
		}
	}
	binary.BigEndian.PutUint32(b[8:], root)
	return b
}
