// SPDX-License-Identifier: Apache-2.0

// Package xz decompresses .xz files (xz-file-format.txt 1.2.0) that lie in
// memory into memory. What was decompressed is the dictionary, so that nothing
// is copied twice and nothing else is needed but a [Decoder].
//
// It is for the helper as well: see package unpackfork. So nothing here
// allocates, calls through a function value, or divides by what is not a
// constant; internal/nowhere has the whole contract, and its test holds this
// package to it.
//
// Damaged files are told apart as liblzma does.
package xz

// Result is what came of it.
type Result uint8

const (
	OK      Result = iota
	Format         // it is no .xz file
	Options        // a filter or a flag that is not known
	Data           // it is damaged
	End            // it ends too early
	Room           // the contents are larger than the room for them
)

var results = [...]string{OK: "no error", Format: "no xz file", Options: "options that are not supported", Data: "the data are corrupt",
	End: "the file ends too early", Room: "too large"}

// Error says it, for who has no words of libkmod's to keep to.
func (r Result) Error() string { return "xz: " + results[r] }

// Decoder is the memory that decompression needs.
type Decoder struct {
	lzma  lzma
	check check
}

const (
	headerSize = 12 // of a stream, and of its footer
	checkNone  = 0
	checkCRC32 = 1
	checkCRC64 = 4
	checkSHA   = 10
	lastCheck  = 15
)

// checkSize is the size of a check that need not be known.
func checkSize(check byte) int {
	if check == checkNone {
		return 0
	}
	return 4 << ((check - 1) / 3)
}

// Size is how large the contents of src are. Of a file that is damaged it is as
// much as [Decoder.Decode] makes of it before it finds that, or more.
func Size(src []byte) int64 {
	c := cursor{src: src}
	var n int64
	for c.header() == OK {
		for {
			b, r := c.block()
			if r != OK {
				return n
			}
			if !b.is {
				break
			}
			for {
				k, r := c.chunk()
				if r != OK {
					return n
				}
				if k.end {
					break
				}
				n += int64(k.unpacked)
				if k.packed > len(c.left()) {
					return n
				}
				c.at += k.packed
			}
			if c.afterBlock(b.at) != OK {
				return n
			}
		}
		if c.index(nil) != OK || c.footer() != OK {
			return n
		}
		if more, r := c.padding(); r != OK || !more {
			return n
		}
	}
	return n
}

// Sum is a CRC-32 that is left to be compared: of the first Size bytes, if Is.
type Sum struct {
	Is   bool
	Size int
	CRC  uint32 // what the file says
}

// Decode decompresses src, a whole file, into dst, and returns how much there
// is of it.
func (d *Decoder) Decode(dst, src []byte) (int, Result) { return d.decode(dst, src, nil) }

// DecodeSum is Decode, but leaves the CRC-32 of the first block to the caller, who may
// have an instruction for it: it takes a twenty-fifth of the time. With another result
// than OK nothing is left.
func (d *Decoder) DecodeSum(dst, src []byte) (n int, left Sum, r Result) {
	n, r = d.decode(dst, src, &left)
	if r == OK || !left.Is {
		return n, left, r
	}
	d.check.begin(checkCRC32)
	if d.check.crc32(dst[:left.Size]) != left.CRC {
		r = Data // it comes before whatever else is wrong
	}
	return n, Sum{}, r
}

// decode is Decode. With left it may leave one check.
func (d *Decoder) decode(dst, src []byte, left *Sum) (int, Result) {
	c := cursor{src: src}
	n := 0
	for {
		if r := c.header(); r != OK {
			return n, r
		}
		d.check.begin(c.check)
		var blocks records
		for {
			b, r := c.block()
			if r != OK {
				return n, r
			}
			if !b.is {
				break
			}
			from := n
			if n, r = d.lzma2(dst, n, &c, b.window); r != OK {
				return n, r
			}
			packed := c.at - b.body
			if b.packed >= 0 && b.packed != int64(packed) || b.unpacked >= 0 && b.unpacked != int64(n-from) {
				return n, Data
			}
			unfilter(dst[from:n], b.filters[:b.count])
			if r = c.afterBlock(b.at); r != OK {
				return n, r
			}
			size := checkSize(c.check)
			if left != nil && !left.Is && from == 0 && c.check == checkCRC32 {
				*left = Sum{true, n, le32(src[c.at-size:])}
			} else if !d.check.right(dst[from:n], src[c.at-size:c.at]) {
				return n, Data
			}
			blocks.add(int64(b.body-b.at)+int64(packed)+int64(size), int64(n-from))
		}
		if r := c.index(&blocks); r != OK {
			return n, r
		}
		if r := c.footer(); r != OK {
			return n, r
		}
		if more, r := c.padding(); r != OK || !more {
			return n, r
		}
	}
}

// lzma2 decodes the chunks of one block to dst[n:], and returns where it ends.
func (d *Decoder) lzma2(dst []byte, n int, c *cursor, window uint32) (int, Result) {
	start, reset, properties := n, true, true
	for {
		k, r := c.chunk()
		if r != OK || k.end {
			return n, r
		}
		switch {
		case k.resetDict:
			start, reset = n, false
			properties = true
		case reset:
			return n, Data
		}
		if k.unpacked > len(dst)-n {
			return n, Room
		}
		if k.stored {
			if k.packed > len(c.src)-c.at {
				return n, End
			}
			copy(dst[n:n+k.unpacked], c.src[c.at:])
		} else {
			if k.newProperties {
				if !d.lzma.properties(k.properties) {
					return n, Data
				}
				properties = false
			} else if properties {
				return n, Data
			}
			if k.resetState {
				d.lzma.reset()
			}
			if len(c.src)-c.at < k.packed+most {
				return n, End // a footer at least must follow
			}
			if !d.lzma.chunk(dst, start, n, n+k.unpacked, c.src, c.at, c.at+k.packed, window) {
				return n, Data
			}
		}
		n += k.unpacked
		c.at += k.packed
	}
}
