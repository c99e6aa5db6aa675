// SPDX-License-Identifier: Apache-2.0

package zstd

import "math/bits"

// longest is the length of the longest code.
const longest = 11

// huffman is a Huffman code.
type huffman struct {
	log     uint // the length of its longest code, 0 if there is none
	weight  [256]uint8
	entries [1 << longest]uint16 // by the next bits: symbol<<8 | length
}

// read reads the code that b begins with. It returns how many bytes there were of
// it, -1 if it is none.
func (d *Decoder) readCode(b []byte, from int) int {
	if len(b) <= from {
		return -1
	}
	h := &d.codes
	h.log = 0
	size, count := int(b[from]), 0
	from++
	if size >= 128 {
		count = size - 127
		size = (count + 1) / 2
		if len(b)-from < size {
			return -1
		}
		for i := range count {
			h.weight[i&255] = b[from+i/2] >> (4 * (^uint(i) & 1)) & 15
		}
	} else {
		if len(b)-from < size {
			return -1
		}
		if count = d.readWeights(b[:from+size], from); count < 0 {
			return -1
		}
	}
	if !h.set(count) {
		return -1
	}
	return from + size
}

// readWeights reads weights that are compressed themselves, from b[from:]. It
// returns how many there are, -1 if it is not so.
func (d *Decoder) readWeights(b []byte, from int) int {
	log, size := d.counts.read(b[from:], weightsLog, longest)
	if size < 0 || !d.weights.build(&d.counts, log, &noMore) {
		return -1
	}
	from += size
	pos := open(b, from)
	end := 8 * from
	if pos-end < int(2*log) {
		return -1
	}
	// Two states in turns, until there are no bits left to go on with one.
	t := &d.weights.entries
	s1 := t[read(b, pos, log)&(1<<weightsLog-1)]
	pos -= int(log)
	s2 := t[read(b, pos, log)&(1<<weightsLog-1)]
	pos -= int(log)
	weight := &d.codes.weight
	for n := 0; n < 254; n++ {
		weight[n] = uint8(s1.symbol())
		if pos-end < int(s1.bits()) {
			if pos != end {
				return -1
			}
			weight[n+1] = uint8(s2.symbol())
			return n + 2
		}
		next := (s1.next() + read(b, pos, s1.bits())) & (1<<weightsLog - 1)
		pos -= int(s1.bits())
		s1, s2 = s2, t[next]
	}
	return -1
}

var noMore [maxSymbol + 1]uint8

// set makes the code of the weights of all symbols but the last, whose weight is what
// is left.
func (h *huffman) set(count int) bool {
	if count > 255 {
		return false
	}
	var ranks [longest + 2]uint // how many have a weight
	total := uint(0)
	for _, w := range h.weight[:count] {
		if w > longest {
			return false
		}
		ranks[w]++
		total += 1 << w >> 1
	}
	if total == 0 {
		return false
	}
	log := uint(bits.Len(total))
	left := uint(1)<<log - total
	if log > longest || left&(left-1) != 0 {
		return false
	}
	last := uint(bits.Len(left))
	h.weight[count] = uint8(last)
	ranks[last]++
	if ranks[1] < 2 || ranks[1]&1 != 0 {
		return false
	}
	// The longest codes come first, and of one length the lower symbols.
	var start [longest + 2]uint
	at := uint(0)
	for w := uint(1); w <= log; w++ {
		start[w] = at
		at += ranks[w] << (w - 1)
	}
	for symbol, w := range h.weight[:count+1] {
		if w == 0 || w > longest {
			continue
		}
		n := uint(1) << w >> 1
		from := start[w]
		start[w] += n
		if start[w] > uint(len(h.entries)) {
			return false
		}
		e := uint16(symbol)<<8 | uint16(log+1-uint(w))
		run := h.entries[from:start[w]]
		for i := range run {
			run[i] = e
		}
	}
	h.log = log
	return true
}

// decode fills dst from the stream b, which ends at from.
func (h *huffman) decode(dst, b []byte, from int) bool {
	pos, end := open(b, from), 8*from
	if pos < end {
		return false
	}
	table, rest := &h.entries, uint(word)-h.log
	if word == 64 {
		for ; len(dst) >= 5 && pos >= end; dst = dst[5:] {
			w := load(b, pos)
			e0 := table[w>>(rest&63)&(1<<longest-1)]
			w <<= e0 & 63
			e1 := table[w>>(rest&63)&(1<<longest-1)]
			w <<= e1 & 63
			e2 := table[w>>(rest&63)&(1<<longest-1)]
			w <<= e2 & 63
			e3 := table[w>>(rest&63)&(1<<longest-1)]
			w <<= e3 & 63
			e4 := table[w>>(rest&63)&(1<<longest-1)]
			dst[0], dst[1], dst[2], dst[3], dst[4] = byte(e0>>8), byte(e1>>8), byte(e2>>8), byte(e3>>8), byte(e4>>8)
			pos -= int(e0&15 + e1&15 + e2&15 + e3&15 + e4&15)
		}
	} else {
		for ; len(dst) >= 2 && pos >= end; dst = dst[2:] {
			w := load(b, pos)
			e0 := table[w>>(rest&31)&(1<<longest-1)]
			w <<= e0 & 31
			e1 := table[w>>(rest&31)&(1<<longest-1)]
			dst[0], dst[1] = byte(e0>>8), byte(e1>>8)
			pos -= int(e0&15 + e1&15)
		}
	}
	for i := range dst {
		if pos < end {
			return false
		}
		e := table[load(b, pos)>>(rest&uint(word-1))&(1<<longest-1)]
		dst[i] = byte(e >> 8)
		pos -= int(e & 15)
	}
	return pos == end
}
