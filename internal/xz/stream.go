// SPDX-License-Identifier: Apache-2.0

package xz

// cursor reads what is around the compressed data: headers, index and footer.
type cursor struct {
	src    []byte
	at     int
	stream int  // where this stream begins
	check  byte // what checks the blocks of it
	index0 int  // where its index begins
}

// left is what there is from here.
func (c *cursor) left() []byte { return c.src[c.at:] }

func le32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// magic tells whether b begins as the magic does; it may be shorter.
func magic(b []byte) bool {
	m := [...]byte{0xfd, '7', 'z', 'X', 'Z', 0}
	for i := range m {
		if i == len(b) {
			break
		}
		if b[i] != m[i] {
			return false
		}
	}
	return true
}

// header reads a stream's header.
func (c *cursor) header() Result {
	b := c.left()
	c.stream = c.at
	switch {
	case !magic(b) && c.at == 0:
		return Format
	case len(b) < headerSize: // liblzma looks at a header when it has all of it
		return End
	case !magic(b):
		return Data
	case crc32(b[6:8]) != le32(b[8:12]):
		return Data
	case b[6] != 0 || b[7] > lastCheck:
		return Options
	}
	c.check = b[7]
	c.at += headerSize
	return OK
}

// block is what its header says of a block.
type block struct {
	is               bool // it is none but the index
	at, body         int  // where it begins, and what it holds
	packed, unpacked int64
	filters          [3]filter
	count            int
	window           uint32
}

// filter is what LZMA2's output goes through.
type filter struct {
	id    uint64
	value uint32
}

const (
	idDelta = 3
	idLZMA2 = 0x21
)

// block reads the header of a block.
func (c *cursor) block() (b block, r Result) {
	b.at, b.packed, b.unpacked = c.at, -1, -1
	if c.at == len(c.src) {
		return b, End
	}
	if c.src[c.at] == 0 {
		return b, OK
	}
	size := (int(c.src[c.at]) + 1) * 4
	if size > len(c.src)-c.at {
		return b, End
	}
	h := c.src[c.at : c.at+size]
	if crc32(h[:size-4]) != le32(h[size-4:]) {
		return b, Data
	}
	v := cursor{src: h[:size-4], at: 2}
	flags := h[1]
	if flags&0x3c != 0 {
		return b, Options
	}
	if flags&0x40 != 0 {
		if b.packed, r = v.number(); r != OK || b.packed == 0 {
			return b, Data
		}
	}
	if flags&0x80 != 0 {
		if b.unpacked, r = v.number(); r != OK {
			return b, Data
		}
	}
	for i := range int(flags&3) + 1 {
		id, r := v.number()
		if r != OK {
			return b, Data
		}
		n, r := v.number()
		if r != OK || n > int64(len(v.left())) {
			return b, Data
		}
		p := v.left()[:int(n)]
		v.at += int(n)
		last := i == int(flags&3)
		if last != (id == idLZMA2) {
			return b, Options
		}
		if last {
			if len(p) != 1 || p[0] > 40 {
				return b, Options
			}
			b.window = windowOf(p[0])
			break
		}
		value, ok := parameter(uint64(id), p)
		if !ok {
			return b, Options
		}
		b.filters[i] = filter{uint64(id), value}
		b.count++
	}
	for _, pad := range v.left() {
		if pad != 0 {
			return b, Options
		}
	}
	c.at += size
	b.is, b.body = true, c.at
	return b, OK
}

// windowOf is the size of the dictionary by its byte, rounded as liblzma does
// (lz_decoder.c).
func windowOf(b byte) uint32 {
	if b == 40 {
		return ^uint32(0)
	}
	return max(uint32(2|b&1)<<(b/2+11), 4096)
}

// number reads a number of up to nine bytes, seven bits in each.
func (c *cursor) number() (int64, Result) {
	var n uint64
	for i := range 9 {
		if c.at == len(c.src) {
			return 0, End
		}
		b := c.src[c.at]
		c.at++
		n |= uint64(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			if b == 0 && i > 0 {
				return 0, Data
			}
			return int64(n), OK
		}
	}
	return 0, Data
}

// chunk is what the first bytes of an LZMA2 chunk say.
type chunk struct {
	end                                  bool
	packed, unpacked                     int
	stored                               bool
	resetDict, resetState, newProperties bool
	properties                           byte
}

// chunk reads them.
func (c *cursor) chunk() (k chunk, r Result) {
	b := c.left()
	if len(b) == 0 {
		return k, End
	}
	control := b[0]
	n := 6
	switch {
	case control == 0:
		c.at++
		return chunk{end: true}, OK
	case control < 3:
		n = 3
	case control < 0x80:
		return k, Data
	case control < 0xc0:
		n = 5
	}
	if len(b) < n {
		return k, End
	}
	c.at += n
	size := int(b[1])<<8 | int(b[2]) + 1
	if control < 3 {
		return chunk{stored: true, resetDict: control == 1, packed: size, unpacked: size}, OK
	}
	k = chunk{unpacked: int(control&0x1f)<<16 + int(b[1])<<8 + int(b[2]) + 1, packed: int(b[3])<<8 + int(b[4]) + 1,
		resetDict: control >= 0xe0, resetState: control >= 0xa0, newProperties: control >= 0xc0}
	if k.newProperties {
		k.properties = b[5]
	}
	return k, OK
}

// afterBlock passes the padding of the block that began there, and its check.
func (c *cursor) afterBlock(at int) Result {
	for (c.at-at)%4 != 0 {
		if c.at == len(c.src) {
			return End
		}
		if c.src[c.at] != 0 {
			return Data
		}
		c.at++
	}
	c.at += checkSize(c.check)
	if c.at > len(c.src) {
		c.at = len(c.src)
		return End
	}
	return OK
}

// records are the sizes of blocks, of which the index has a list: their number,
// their sums, and a sum of all that depends on their order.
type records struct {
	count            uint64
	packed, unpacked uint64
	order            uint64
}

func (s *records) add(packed, unpacked int64) {
	s.count++
	s.packed += uint64(packed)
	s.unpacked += uint64(unpacked)
	s.order = (s.order ^ uint64(packed)) * 0x9e3779b97f4a7c15
	s.order = (s.order ^ uint64(unpacked)) * 0x9e3779b97f4a7c15
}

func (s *records) same(o *records) bool {
	return s.count == o.count && s.packed == o.packed && s.unpacked == o.unpacked && s.order == o.order
}

// index reads the index, which must tell of these blocks, if they are not nil.
func (c *cursor) index(blocks *records) Result {
	c.index0 = c.at
	c.at++
	count, r := c.number()
	if r != OK {
		return r
	}
	if blocks != nil && uint64(count) != blocks.count {
		return Data
	}
	var said records
	for range count {
		packed, r := c.number()
		if r != OK {
			return r
		}
		unpacked, r := c.number()
		if r != OK {
			return r
		}
		said.add(packed, unpacked)
	}
	if blocks != nil && !said.same(blocks) {
		return Data
	}
	for (c.at-c.index0)%4 != 0 {
		if c.at == len(c.src) {
			return End
		}
		if c.src[c.at] != 0 {
			return Data
		}
		c.at++
	}
	if len(c.left()) < 4 {
		return End
	}
	if crc32(c.src[c.index0:c.at]) != le32(c.left()) {
		return Data
	}
	c.at += 4
	return OK
}

// footer reads the end of a stream, which repeats what its header says.
func (c *cursor) footer() Result {
	b := c.left()
	if len(b) < headerSize {
		return End
	}
	c.at += headerSize
	switch {
	case b[10] != 'Y' || b[11] != 'Z', crc32(b[4:10]) != le32(b[:4]):
		return Data
	case b[8] != 0 || b[9] > lastCheck:
		return Options
	case b[9] != c.check, (uint64(le32(b[4:]))+1)*4 != uint64(c.at-headerSize-c.index0):
		return Data
	}
	return OK
}

// padding passes the zeroes that may follow a stream, in fours. more says that
// something else does.
func (c *cursor) padding() (more bool, r Result) {
	n := 0
	for n < len(c.left()) && c.left()[n] == 0 {
		n++
	}
	c.at += n
	if n%4 != 0 {
		return false, Data
	}
	return c.at < len(c.src), OK
}
