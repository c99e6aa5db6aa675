// SPDX-License-Identifier: Apache-2.0

package inflate

const (
	longest = 15
	quick   = 9 // bits of a code that is found at once
)

// code is a canonical Huffman code.
type code struct {
	count   [longest + 1]uint16
	symbols [maxLiterals]uint16 // by their codes
	table   [1 << quick]uint16  // by the next bits: symbol<<4 | length; 0 if it is longer
	first   [longest + 1]uint16 // where the symbols of a length begin
}

// set makes it of the length of each symbol's code. One that leaves codes
// unused is none, unless it has no or one symbol.
func (c *code) set(lengths []uint8) bool {
	c.count = [longest + 1]uint16{}
	for _, n := range lengths {
		c.count[n&15]++
	}
	c.count[0] = 0
	left, used := 1, 0
	var next [longest + 1]uint16 // code of the next symbol
	at, value := uint16(0), uint16(0)
	for n := 1; n <= longest; n++ {
		left = left<<1 - int(c.count[n])
		if left < 0 {
			return false
		}
		used += int(c.count[n])
		value = (value + c.count[n-1]) << 1
		next[n] = value
		c.first[n] = at
		at += c.count[n]
	}
	if left > 0 && used > 1 {
		return false
	}
	c.table = [1 << quick]uint16{}
	place := c.first
	for symbol, n := range lengths {
		if n == 0 {
			continue
		}
		n &= 15
		c.symbols[place[n]] = uint16(symbol)
		place[n]++
		v := next[n]
		next[n]++
		if n > quick {
			continue
		}
		// The bits of a code come highest first.
		turned := 0
		for range n {
			turned = turned<<1 | int(v&1)
			v >>= 1
		}
		for ; turned < len(c.table); turned += 1 << n {
			c.table[turned] = uint16(symbol)<<4 | uint16(n)
		}
	}
	return true
}

// next reads a symbol, -1 if there is none.
func (c *code) next(b *bits) int {
	b.need(longest)
	if e := c.table[b.hold&(1<<quick-1)]; e != 0 {
		b.take(uint(e & 15))
		return int(e >> 4)
	}
	value, first := 0, 0
	hold := b.hold
	for n := 1; n <= longest; n++ {
		value |= int(hold & 1)
		hold >>= 1
		count := int(c.count[n])
		if value-count < first {
			b.take(uint(n))
			return int(c.symbols[(int(c.first[n])+value-first)&511])
		}
		first = (first + count) << 1
		value <<= 1
	}
	return -1
}
