// SPDX-License-Identifier: Apache-2.0

package xz

// crc32 is that of IEEE 802.3, of a few bytes.
func crc32(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x)
		for range 8 {
			c = c>>1 ^ -(c&1)&poly32
		}
	}
	return ^c
}

const (
	poly32 = 0xedb88320
	poly64 = 0xc96c5795d7870f42 // ECMA-182
)

// check checks the contents of blocks. Its tables are made when they are
// needed: that takes less than the page faults of what lies in the file.
type check struct {
	kind  byte
	made  byte
	tab32 [8][256]uint32
	tab64 [4][256]uint64
}

// CRC32 is the CRC-32 of b, for a format that has no table of its own.
func (d *Decoder) CRC32(b []byte) uint32 {
	d.check.begin(checkCRC32)
	return d.check.crc32(b)
}

// begin gets ready for a stream with that check.
func (c *check) begin(kind byte) {
	c.kind = kind
	if c.made == kind {
		return
	}
	switch kind {
	case checkCRC32:
		// A table that has 2^n has 2^n with the lower bits, too.
		t := &c.tab32[0]
		v := uint32(1)
		t[0] = 0
		for i := uint32(128); i > 0; i >>= 1 {
			v = v>>1 ^ -(v&1)&poly32
			for j := uint32(0); j < 256; j += 2 * i {
				t[(i+j)&255] = v ^ t[j&255]
			}
		}
		for k := 1; k < len(c.tab32); k++ {
			for i, x := range c.tab32[k-1] {
				c.tab32[k][i] = x>>8 ^ t[x&255]
			}
		}
	case checkCRC64:
		t := &c.tab64[0]
		v := uint64(1)
		t[0] = 0
		for i := uint32(128); i > 0; i >>= 1 {
			v = v>>1 ^ -(v&1)&poly64
			for j := uint32(0); j < 256; j += 2 * i {
				t[(i+j)&255] = v ^ t[j&255]
			}
		}
		for k := 1; k < len(c.tab64); k++ {
			for i, x := range c.tab64[k-1] {
				c.tab64[k][i] = x>>8 ^ t[x&255]
			}
		}
	default:
		return
	}
	c.made = kind
}

// right says whether want is the check of b; of a kind that is not known it is,
// as liblzma takes it.
func (c *check) right(b, want []byte) bool {
	switch c.kind {
	case checkCRC32:
		return c.crc32(b) == le32(want)
	case checkCRC64:
		return c.crc64(b) == uint64(le32(want))|uint64(le32(want[4:]))<<32
	case checkSHA:
		return sha256(b, want)
	}
	return true
}

func (c *check) crc32(b []byte) uint32 {
	t := &c.tab32
	s := ^uint32(0)
	for ; len(b) >= 8; b = b[8:] {
		s ^= le32(b)
		v := le32(b[4:])
		s = t[7][s&255] ^ t[6][s>>8&255] ^ t[5][s>>16&255] ^ t[4][s>>24] ^
			t[3][v&255] ^ t[2][v>>8&255] ^ t[1][v>>16&255] ^ t[0][v>>24]
	}
	for _, x := range b {
		s = t[0][byte(s)^x] ^ s>>8
	}
	return ^s
}

func (c *check) crc64(b []byte) uint64 {
	t := &c.tab64
	s := ^uint64(0)
	for ; len(b) >= 4; b = b[4:] {
		v := uint32(s) ^ le32(b)
		s = s>>32 ^ t[3][v&255] ^ t[2][v>>8&255] ^ t[1][v>>16&255] ^ t[0][v>>24]
	}
	for _, x := range b {
		s = t[0][byte(s)^x] ^ s>>8
	}
	return ^s
}
