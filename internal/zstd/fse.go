// SPDX-License-Identifier: Apache-2.0

package zstd

import "math/bits"

const (
	maxLog     = 9  // of the tables of sequences
	weightsLog = 6  // of the table of weights
	maxSymbol  = 52 // of all tables; weights have fewer
)

// What a table is.
const (
	none = iota
	standard
	own
)

// entry is what a state of a table leads to, from the lowest bit: its symbol (8
// bits), how many more bits the symbol has (5), how many bits the next state
// has (4), and the state to which they are added.
type entry uint32

func (e entry) symbol() uint { return uint(e & 0xff) }
func (e entry) more() uint   { return uint(e >> 8 & 31) }
func (e entry) bits() uint   { return uint(e >> 13 & 15) }
func (e entry) next() uint   { return uint(e >> 17) }

// table decodes finite state entropy.
type table struct {
	kind    uint8
	log     uint8
	entries [1 << maxLog]entry
}

// counts are how many states of a table each symbol has; -1 is one at the end of
// the table.
type counts [maxSymbol + 1]int16

// read reads them from b, for a table of at most 1<<most states and for symbols
// up to last. It returns the table's log and how many bytes there were of them, -1
// if they are none.
func (c *counts) read(b []byte, most, last uint) (log uint, size int) {
	if len(b) == 0 {
		return 0, -1
	}
	log = uint(b[0]&15) + 5
	if log > most {
		return 0, -1
	}
	*c = counts{}
	pos, left, symbol := uint(4), 1<<log, uint(0)
	for left > 0 {
		if symbol > last {
			return 0, -1
		}
		// 0 to left+1 is read, the lower of them by a bit less.
		n := uint(bits.Len(uint(left + 1)))
		short := 1<<n - 1 - (left + 1)
		v := int(ahead(b, pos, n))
		if low := v & (1<<(n-1) - 1); low < short {
			v = low
			pos += n - 1
		} else {
			if v >= 1<<(n-1) {
				v -= short
			}
			pos += n
		}
		c[symbol] = int16(v - 1)
		symbol++
		switch {
		case v == 0:
			left--
		case v > 1:
			left -= v - 1
		default: // none, and how many follow that have none
			for {
				again := ahead(b, pos, 2)
				pos += 2
				symbol += again
				if again != 3 {
					break
				}
				if symbol > last {
					return 0, -1
				}
			}
		}
	}
	size = int(pos+7) >> 3
	if left < 0 || symbol > last+1 || size > len(b) {
		return 0, -1
	}
	return log, size
}

// ahead are the n bits at pos, at most 16, of zeroes past the end: here the lowest
// bit is the first.
func ahead(b []byte, pos, n uint) uint {
	v := uint(0)
	for i := range uint(3) {
		if at := pos>>3 + i; at < uint(len(b)) {
			v |= uint(b[at]) << (8 * i)
		}
	}
	return v >> (pos & 7) & (1<<n - 1)
}

// build makes the table of c. more says how many more bits a symbol has.
func (t *table) build(c *counts, log uint, more *[maxSymbol + 1]uint8) bool {
	size := uint(1) << (log & 15)
	if size > uint(len(t.entries)) {
		return false
	}
	entries := t.entries[:size]
	var next [maxSymbol + 1]uint16
	end := size // of those that are not told their place
	for symbol, n := range c {
		next[symbol] = uint16(n)
		if n < 0 {
			next[symbol] = 1
			end--
			if end >= size {
				return false
			}
			entries[end] = entry(symbol)
		}
	}
	at, step := uint(0), size>>1+size>>3+3
	for symbol, n := range c {
		for ; n > 0; n-- {
			if at >= size {
				return false
			}
			entries[at] = entry(symbol)
			at = (at + step) & (size - 1)
			for at >= end {
				at = (at + step) & (size - 1)
				if end == 0 {
					return false
				}
			}
		}
	}
	if at != 0 {
		return false
	}
	for i, e := range entries {
		symbol := e & 63
		if symbol > maxSymbol {
			return false
		}
		x := uint(next[symbol])
		next[symbol]++
		n := log + 1 - uint(bits.Len(x))
		entries[i] = symbol | entry(more[symbol])<<8 | entry(n&15)<<13 | entry(x<<(n&15)-size)<<17
	}
	t.log = uint8(log)
	return true
}

// single makes a table of one symbol.
func (t *table) single(symbol uint, more uint8) {
	t.entries[0] = entry(symbol) | entry(more)<<8
	t.log = 0
}
