// SPDX-License-Identifier: Apache-2.0

// Package inflate decompresses a gzip file (RFC 1951 and 1952) that lies in
// memory into memory. What was decompressed is the window, so that nothing is
// copied twice and nothing else is needed but a [Decoder].
//
// It is for the helper's child: see package unpackfork. So nothing here
// allocates, calls through a function value, or divides by what is not a
// constant; internal/nowhere has the whole contract, and unpackfork's
// TestCallGraph holds this package to it.
//
// It takes what gzip makes of one file, and nothing else: of a file with more
// members, or that is damaged, it says only that it is none for it.
package inflate

// Decoder is the memory that decompression needs.
type Decoder struct {
	literals, distances code
	lengths             [maxLiterals + maxDistances]uint8
}

const (
	headerSize   = 10
	trailerSize  = 8
	maxLiterals  = 288
	maxDistances = 32
	maxRatio     = 1032 // of what deflate makes of a byte
)

// Size is how large the contents of src say they are, -1 if that cannot be so.
func Size(src []byte) int64 {
	if len(src) < headerSize+trailerSize {
		return -1
	}
	n := int64(le32(src[len(src)-4:]))
	if n > int64(len(src))*maxRatio {
		return -1
	}
	return n
}

// Decode decompresses src, a whole file, into dst. It returns how much there is
// of it and the CRC-32 that the file says it has, which the caller compares: it
// has a table for that. ok is false for any file that is not as it should be.
func (d *Decoder) Decode(dst, src []byte) (n int, sum uint32, ok bool) {
	b := bits{src: src}
	if !b.header() {
		return 0, 0, false
	}
	for last := false; !last; {
		b.need(3)
		last = b.take(1) != 0
		kind := b.take(2)
		switch kind {
		case 0:
			n = b.stored(dst, n)
		case 1:
			d.fixed()
			n = d.block(dst, n, &b)
		case 2:
			if !d.dynamic(&b) {
				return 0, 0, false
			}
			n = d.block(dst, n, &b)
		default:
			return 0, 0, false
		}
		if n < 0 || b.over > 0 {
			return 0, 0, false
		}
	}
	b.align()
	t := src[b.at:]
	if len(t) != trailerSize || le32(t[4:]) != uint32(n) {
		return 0, 0, false
	}
	return n, le32(t), true
}

func le32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// bits reads bits, the lowest of a byte first.
type bits struct {
	src  []byte
	at   int
	hold uint32
	have uint
	over int // bytes that were read past the end; of a whole file none, as the trailer follows
}

// need has that many bits there, at most 25, of zeroes past the end.
func (b *bits) need(n uint) {
	for b.have < n {
		if b.at < len(b.src) {
			b.hold |= uint32(b.src[b.at]) << (b.have & 31)
			b.at++
		} else {
			b.over++
		}
		b.have += 8
	}
}

// take takes bits that are there.
func (b *bits) take(n uint) uint32 {
	v := b.hold & (1<<(n&31) - 1)
	b.hold >>= n & 31
	b.have -= n
	return v
}

// align gives back the bytes that no bit was taken of, and the rest of the byte.
func (b *bits) align() {
	b.at -= int(b.have / 8)
	b.hold, b.have = 0, 0
}

// header passes the file's header.
func (b *bits) header() bool {
	s := b.src
	if len(s) < headerSize || s[0] != 0x1f || s[1] != 0x8b || s[2] != 8 || s[3]&0xe0 != 0 {
		return false
	}
	flags, at := s[3], headerSize
	if flags&4 != 0 { // what it is called extra
		if len(s)-at < 2 {
			return false
		}
		at += 2 + int(s[at]) + int(s[at+1])<<8
	}
	for _, text := range [...]byte{8, 16} { // a name, a comment
		if flags&text == 0 {
			continue
		}
		for at < len(s) && s[at] != 0 {
			at++
		}
		at++
	}
	if flags&2 != 0 { // a sum of the header
		at += 2
	}
	b.at = at
	return at < len(s)
}

// stored copies a block that is not compressed to dst[n:], and returns where it
// ends, or -1.
func (b *bits) stored(dst []byte, n int) int {
	b.align()
	s := b.src[b.at:]
	if len(s) < 4 || s[0] != ^s[2] || s[1] != ^s[3] {
		return -1
	}
	size := int(s[0]) | int(s[1])<<8
	s = s[4:]
	if size > len(s) || size > len(dst)-n {
		return -1
	}
	copy(dst[n:n+size], s)
	b.at += 4 + size
	return n + size
}

// fixed are the codes that need not be told.
func (d *Decoder) fixed() {
	l := &d.lengths
	for i := range maxLiterals {
		switch {
		case i < 144:
			l[i] = 8
		case i < 256:
			l[i] = 9
		case i < 280:
			l[i] = 7
		default:
			l[i] = 8
		}
	}
	d.literals.set(l[:maxLiterals])
	for i := range maxDistances {
		l[i] = 5
	}
	d.distances.set(l[:maxDistances])
}

// dynamic reads the codes of a block.
func (d *Decoder) dynamic(b *bits) bool {
	b.need(14)
	literals, distances, lengths := int(b.take(5))+257, int(b.take(5))+1, int(b.take(4))+4
	if literals > 286 || distances > 30 {
		return false
	}
	order := [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	var of [19]uint8
	for i := range lengths {
		b.need(3)
		of[order[i]] = uint8(b.take(3))
	}
	if !d.literals.set(of[:]) {
		return false
	}
	all := literals + distances
	for i := 0; i < all; {
		s := d.literals.next(b)
		if s < 16 {
			if s < 0 {
				return false
			}
			d.lengths[i] = uint8(s)
			i++
			continue
		}
		again, value := 0, uint8(0)
		b.need(7)
		switch s {
		case 16:
			if i == 0 {
				return false
			}
			again, value = 3+int(b.take(2)), d.lengths[i-1]
		case 17:
			again = 3 + int(b.take(3))
		default:
			again = 11 + int(b.take(7))
		}
		if again > all-i || b.over > 0 {
			return false
		}
		for range again {
			d.lengths[i] = value
			i++
		}
	}
	return d.lengths[256] != 0 && d.literals.set(d.lengths[:literals]) && d.distances.set(d.lengths[literals:all])
}

// block decodes a block to dst[n:], and returns where it ends, or -1.
func (d *Decoder) block(dst []byte, n int, b *bits) int {
	for {
		s := d.literals.next(b)
		switch {
		case s < 0 || b.over > 0:
			return -1
		case s < 256:
			if n == len(dst) {
				return -1
			}
			dst[n] = byte(s)
			n++
			continue
		case s == 256:
			return n
		case s > 285:
			return -1
		}
		length, ok := b.length(s - 257)
		if !ok {
			return -1
		}
		back := b.distance(d.distances.next(b))
		if back <= 0 || back > n || length > len(dst)-n {
			return -1
		}
		if back >= length {
			copy(dst[n:n+length], dst[n-back:])
			n += length
			continue
		}
		for range length {
			dst[n] = dst[n-back]
			n++
		}
	}
}

// length reads the rest of a length of that class.
func (b *bits) length(class int) (int, bool) {
	switch {
	case class < 8:
		return class + 3, true
	case class == 28:
		return 258, true
	}
	extra := uint(class-4) / 4
	b.need(extra)
	return 3 + (4+class&3)<<extra + int(b.take(extra)), true
}

// distance reads the rest of a distance of that class, and is -1 for none.
func (b *bits) distance(class int) int {
	switch {
	case class < 0 || class > 29:
		return -1
	case class < 4:
		return class + 1
	}
	extra := uint(class-2) / 2
	b.need(extra)
	return 1 + (2+class&1)<<extra + int(b.take(extra))
}
