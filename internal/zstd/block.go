// SPDX-License-Identifier: Apache-2.0

package zstd

// block decompresses the compressed block b[lead:] to dst[n:], of a frame that
// begins at dst[start], and returns where it ends, or -1.
func (d *Decoder) block(dst []byte, start, n int, b []byte, window int) int {
	literals, at := d.readLiterals(b)
	if at < 0 {
		return -1
	}
	count, at := sequences(b, at)
	if at < 0 {
		return -1
	}
	if count == 0 {
		if at != len(b) || len(literals) > len(dst)-n {
			return -1
		}
		return n + copy(dst[n:], literals)
	}
	if at = d.readTables(b, at); at < 0 {
		return -1
	}
	return d.execute(dst, start, n, literals, b, at, count, window)
}

// readLiterals returns the block's literals, and where what follows begins, which is -1
// if they are none.
func (d *Decoder) readLiterals(b []byte) ([]byte, int) {
	const raw, same, compressed, treeless = 0, 1, 2, 3
	at := lead
	if len(b) <= at {
		return nil, -1
	}
	kind, form := b[at]&3, b[at]>>2&3
	if kind == raw || kind == same {
		length, shift := 1, uint(3)
		switch form {
		case 1:
			length, shift = 2, 4
		case 3:
			length, shift = 3, 4
		}
		size := int(ahead(b[at:], 0, 8*uint(length)) >> shift)
		at += length
		if kind == same {
			if len(b) <= at || size > len(d.literals) {
				return nil, -1
			}
			fill(d.literals[:size], b[at])
			return d.literals[:size], at + 1
		}
		if size > len(b)-at {
			return nil, -1
		}
		return b[at : at+size], at + size
	}
	length, width := 3, uint(10)
	switch form {
	case 2:
		length, width = 4, 14
	case 3:
		length, width = 5, 18
	}
	if len(b)-at < length {
		return nil, -1
	}
	// 4 bits, and twice the width.
	size := int(ahead(b[at:], 4, width))
	packed := int(ahead(b[at:], 4+width, width))
	at += length
	if size == 0 || size > len(d.literals) || packed > len(b)-at {
		return nil, -1
	}
	from, end := at, at+packed
	if kind == compressed {
		if from = d.readCode(b[:end], at); from < 0 {
			return nil, -1
		}
	}
	if d.codes.log == 0 {
		return nil, -1
	}
	literals := d.literals[:size]
	streams := 4
	if form == 0 {
		streams = 1
	}
	if !d.decodeLiterals(literals, b[:end], from, streams) {
		return nil, -1
	}
	return literals, end
}

// decodeLiterals fills literals from the streams that b ends with, which are one or four.
func (d *Decoder) decodeLiterals(literals, b []byte, from, streams int) bool {
	if streams == 1 {
		return d.codes.decode(literals, b, from)
	}
	end := len(b)
	if len(literals) < 6 || end-from < 6 {
		return false
	}
	quarter := (len(literals) + 3) / 4
	sizes := from
	from += 6
	for i := range 4 {
		until, part := end, literals
		if i < 3 {
			until = from + int(b[sizes+2*i]) + int(b[sizes+2*i+1])<<8
			if until > end || quarter > len(literals) {
				return false
			}
			part, literals = literals[:quarter], literals[quarter:]
		}
		if !d.codes.decode(part, b[:until], from) {
			return false
		}
		from = until
	}
	return true
}
