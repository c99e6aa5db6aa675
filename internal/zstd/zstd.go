// SPDX-License-Identifier: Apache-2.0

// Package zstd decompresses a zstd file (RFC 8878) that lies in memory into
// memory. What was decompressed is the window, so that nothing is copied twice
// and nothing else is needed but a [Decoder].
//
// It is for the helper's child: see package unpackfork. So nothing here
// allocates, calls through a function value, or divides by what is not a
// constant; internal/nowhere has the whole contract, and unpackfork's
// TestCallGraph holds this package to it.
//
// It takes what compressors make. Of a file that needs a dictionary or a large
// window, or that is damaged, it says only that it is none for it.
package zstd

// Decoder is the memory that decompression needs.
type Decoder struct {
	codes    huffman
	lengths  table // of literals
	offsets  table
	matches  table // lengths of them
	counts   counts
	weights  table
	recent   [3]int // offsets
	literals [maxBlock]byte
}

const (
	magic     = 0xfd2fb528
	skippable = 0x184d2a50 // and the 15 that follow
	maxBlock  = 128 << 10
	maxWindow = 1 << maxWindowLog

	// The window up to which zstd(1) decompresses without being told.
	maxWindowLog = 27
)

// header is that of a frame.
type header struct {
	size   int64 // of the contents, -1 if it is not said
	window int
	sum    bool // of the contents follows them
	length int  // its own
}

// header reads it; ok is false for none that is decompressed here.
func readHeader(b []byte) (h header, ok bool) {
	if len(b) < 6 || le32(b) != magic {
		return h, false
	}
	const single, reserved, sum = 0x20, 8, 4
	flags := b[4]
	if flags&reserved != 0 {
		return h, false
	}
	h.sum, h.size, h.length = flags&sum != 0, -1, 5
	if flags&single == 0 {
		log, eighths := uint(b[5]>>3)+10, int(b[5]&7)
		if log > maxWindowLog {
			return h, false
		}
		h.window = 1<<log + eighths<<(log-3)
		h.length++
	}
	dictionary := 1 << (flags & 3) >> 1 // bytes of its number
	said := 1 << (flags >> 6)           // bytes of the size
	if said == 1 && flags&single == 0 {
		said = 0
	}
	if len(b)-h.length < dictionary+said {
		return h, false
	}
	for range dictionary {
		if b[h.length] != 0 {
			return h, false
		}
		h.length++
	}
	if said > 0 {
		v := uint64(0)
		for i := range said {
			v |= uint64(b[h.length+i]) << (8 * uint(i) & 63)
		}
		if said == 2 {
			v += 256
		}
		h.size = int64(v)
		h.length += said
		if h.size < 0 {
			return h, false
		}
	}
	if flags&single != 0 {
		if h.size > maxWindow {
			return h, false
		}
		h.window = int(h.size)
	}
	return h, h.window <= maxWindow
}

// Size is how large the first frame says its contents are, -1 if it does not, or
// if they are not for [Decoder.Decode].
func Size(src []byte) int64 {
	h, ok := readHeader(src)
	if !ok {
		return -1
	}
	return h.size
}

// Decode decompresses src, a whole file, into dst, and returns how much there is
// of it. ok is false for any file that is not as it should be.
func (d *Decoder) Decode(dst, src []byte) (n int, ok bool) {
	for at := 0; at < len(src); {
		left := src[at:]
		if len(left) >= 8 && le32(left)&^15 == skippable {
			size := le32(left[4:])
			if size > uint32(len(left)-8) {
				return n, false
			}
			at += 8 + int(size)
			continue
		}
		h, ok := readHeader(left)
		if !ok {
			return n, false
		}
		if n, at, ok = d.frame(dst, n, src, at+h.length, h); !ok {
			return n, false
		}
	}
	return n, true
}

// frame decompresses the blocks of a frame, from src[at:] to dst[n:], and
// returns where both end.
func (d *Decoder) frame(dst []byte, n int, src []byte, at int, h header) (int, int, bool) {
	start := n
	d.codes.log, d.lengths.kind, d.offsets.kind, d.matches.kind = 0, none, none, none
	d.recent = [3]int{1, 4, 8}
	for last := false; !last; {
		if len(src)-at < 3 {
			return n, at, false
		}
		b := uint(src[at]) | uint(src[at+1])<<8 | uint(src[at+2])<<16
		at += 3
		last = b&1 != 0
		kind, size, room := b>>1&3, int(b>>3), len(dst)-n
		if size > min(h.window, maxBlock) {
			return n, at, false
		}
		packed := size
		if kind == 1 {
			packed = 1
		}
		if packed > len(src)-at {
			return n, at, false
		}
		switch kind {
		case 0:
			if size > room {
				return n, at, false
			}
			copy(dst[n:n+size], src[at:])
			n += size
		case 1:
			if size > room {
				return n, at, false
			}
			fill(dst[n:n+size], src[at])
			n += size
		case 2:
			end := n + min(h.window, maxBlock, room)
			if n = d.block(dst[:end], start, n, src[at-lead:at+size], h.window); n < 0 {
				return n, at, false
			}
		default:
			return n, at, false
		}
		at += packed
	}
	if h.size >= 0 && h.size != int64(n-start) {
		return n, at, false
	}
	if h.sum {
		if len(src)-at < 4 || le32(src[at:]) != uint32(sum(dst[start:n])) {
			return n, at, false
		}
		at += 4
	}
	return n, at, true
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func le32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
