// SPDX-License-Identifier: Apache-2.0

package zstd

import (
	"math/bits"
	"unsafe"
)

// word is how many bits are looked at at once. It is a register's: a shift of 64
// bits is a dozen instructions of 32-bit ARM.
const (
	word  = 8 * int(unsafe.Sizeof(uint(0)))
	valid = word - 8 // bits of a word that are there at least
)

// lead is how many bytes there are before each block in what is decoded of it: its
// header and the frame's. A stream of bits that ends too early is read on in
// them, but by less than a word, and is then refused.
const lead = 8

// Most streams of bits are read from their end: position pos is behind the next
// bit, which is the highest.

// open finds where the stream b[:] begins to be read; from is where it ends.
// It is -1 if there is none.
func open(b []byte, from int) int {
	if len(b) <= from || b[len(b)-1] == 0 {
		return -1
	}
	return 8*(len(b)-1) + bits.Len8(b[len(b)-1]) - 1
}

// load has the bits before pos at the top of the word.
func load(b []byte, pos int) uint {
	i := pos >> 3
	if word == 32 {
		s := b[i-3 : i+1]
		return uint(uint32(s[0])|uint32(s[1])<<8|uint32(s[2])<<16|uint32(s[3])<<24) << (8 - uint(pos)&7)
	}
	s := b[i-7 : i+1]
	return uint(uint64(s[0])|uint64(s[1])<<8|uint64(s[2])<<16|uint64(s[3])<<24|
		uint64(s[4])<<32|uint64(s[5])<<40|uint64(s[6])<<48|uint64(s[7])<<56) << (8 - uint(pos)&7)
}

// top are the n highest bits, fewer than a word has.
func top(w, n uint) uint {
	return w >> 1 >> ((uint(word) - 1 - n) & (uint(word) - 1))
}

// read are the n bits before pos, at most 31.
func read(b []byte, pos int, n uint) uint {
	if n > uint(valid) {
		high := n - 16
		return top(load(b, pos), high)<<16 | top(load(b, pos-int(high)), 16)
	}
	return top(load(b, pos), n)
}
