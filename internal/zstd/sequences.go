// SPDX-License-Identifier: Apache-2.0

package zstd

// Each sequence is a length of literals, an offset and a length of a match. What
// a code stands for is a base, to which more bits are added.
const (
	lastLength = 35
	lastMatch  = 52
	// Higher offsets are of a larger window, see maxWindow.
	lastOffset = maxWindowLog
	offsetsLog = 8
)

var (
	lengthBase = [64]uint32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64,
		1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16}
	lengthMore = [maxSymbol + 1]uint8{16: 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

	matchBase = [64]uint32{3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
		32, 33, 34, 35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 3 + 1<<7, 3 + 1<<8, 3 + 1<<9, 3 + 1<<10, 3 + 1<<11, 3 + 1<<12,
		3 + 1<<13, 3 + 1<<14, 3 + 1<<15, 3 + 1<<16}
	matchMore = [maxSymbol + 1]uint8{32: 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

	offsetMore = [maxSymbol + 1]uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
		27, 28, 29, 30, 31}

	// The standard tables.
	lengthCounts = counts{4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1}
	matchCounts  = counts{1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1}
	offsetCounts = counts{1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1}
)

// sequences reads how many there are, and returns where what follows begins, or -1.
func sequences(b []byte, at int) (count, next int) {
	if len(b) <= at {
		return 0, -1
	}
	first := int(b[at])
	length := 1
	switch {
	case first == 255:
		length = 3
	case first >= 128:
		length = 2
	}
	if len(b)-at < length {
		return 0, -1
	}
	switch length {
	case 1:
		return first, at + 1
	case 2:
		count = (first-128)<<8 + int(b[at+1])
	default:
		count = 0x7f00 + int(b[at+1]) + int(b[at+2])<<8
	}
	if count == 0 {
		return 0, -1
	}
	return count, at + length
}

// readTables reads the tables that sequences are decoded by, and returns where what
// follows begins, or -1.
func (d *Decoder) readTables(b []byte, at int) int {
	if len(b) <= at || b[at]&3 != 0 {
		return -1
	}
	kinds := uint(b[at])
	at++
	if at = d.readTable(&d.lengths, b, at, kinds>>6, maxLog, lastLength, &lengthCounts, 6, &lengthMore); at < 0 {
		return -1
	}
	if at = d.readTable(&d.offsets, b, at, kinds>>4&3, offsetsLog, 31, &offsetCounts, 5, &offsetMore); at < 0 {
		return -1
	}
	return d.readTable(&d.matches, b, at, kinds>>2&3, maxLog, lastMatch, &matchCounts, 6, &matchMore)
}

func (d *Decoder) readTable(t *table, b []byte, at int, kind, most, last uint, usual *counts, usualLog uint, more *[maxSymbol + 1]uint8) int {
	const predefined, single, compressed, repeat = 0, 1, 2, 3
	before := t.kind
	t.kind = none
	switch kind {
	case predefined:
		if before != standard && !t.build(usual, usualLog, more) {
			return -1
		}
		t.kind = standard
		return at
	case single:
		if len(b) <= at || uint(b[at]) > last {
			return -1
		}
		t.single(uint(b[at]), more[b[at]])
		at++
	case compressed:
		log, size := d.counts.read(b[at:], most, last)
		if size < 0 || !t.build(&d.counts, log, more) {
			return -1
		}
		at += size
	default:
		t.kind = before
		if before == none {
			return -1
		}
		return at
	}
	t.kind = own
	return at
}

// execute decodes the sequences from the stream b[at:], and appends to dst[:n] what
// they say, and the rest of the literals. It returns where that ends, or -1.
//
// In one piece: what it keeps in local variables must not be stored at each
// sequence, which calls would force.
func (d *Decoder) execute(dst []byte, start, n int, literals, b []byte, at, count, window int) int {
	pos, end := open(b, at), 8*at
	lengths, offsets, matches := &d.lengths.entries, &d.offsets.entries, &d.matches.entries
	if pos-end < int(d.lengths.log+d.offsets.log+d.matches.log) {
		return -1
	}
	length := lengths[read(b, pos, uint(d.lengths.log))&(1<<maxLog-1)]
	pos -= int(d.lengths.log)
	offset := offsets[read(b, pos, uint(d.offsets.log))&(1<<offsetsLog-1)]
	pos -= int(d.offsets.log)
	match := matches[read(b, pos, uint(d.matches.log))&(1<<maxLog-1)]
	pos -= int(d.matches.log)
	rep0, rep1, rep2 := d.recent[0], d.recent[1], d.recent[2]
	for {
		if pos < end {
			return -1
		}
		have := uint(valid)
		w := load(b, pos)
		ob, mb, lb := offset.more(), match.more(), length.more()
		back := 1 << (ob & 31)
		long := int(matchBase[match.symbol()&63])
		run := int(lengthBase[length.symbol()&63])
		if sum := ob + mb + lb; sum <= have {
			back += int(top(w, ob))
			w <<= ob & 31
			if mb+lb > 0 {
				long += int(top(w, mb))
				w <<= mb & 31
				run += int(top(w, lb))
				w <<= lb & 31
			}
			have -= sum
			pos -= int(sum)
		} else {
			if ob > lastOffset {
				return -1
			}
			back += int(read(b, pos, ob))
			if pos -= int(ob); pos < end {
				return -1
			}
			long += int(read(b, pos, mb))
			if pos -= int(mb); pos < end {
				return -1
			}
			run += int(read(b, pos, lb))
			pos -= int(lb)
			have = 0
		}

		if back > 3 {
			back -= 3
			rep0, rep1, rep2 = back, rep0, rep1
		} else {
			if run == 0 {
				back++
			}
			switch back {
			case 1:
				back = rep0
			case 2:
				back = rep1
				rep0, rep1 = back, rep0
			case 3:
				back = rep2
				rep0, rep1, rep2 = back, rep0, rep1
			default:
				back = rep0 - 1
				rep0, rep1, rep2 = back, rep0, rep1
			}
		}

		if run > len(literals) || run > len(dst)-n {
			return -1
		}
		switch {
		case run > copyFrom:
			copy(dst[n:n+run], literals)
		case word == 64 && len(literals) >= 16 && len(dst)-n >= 16:
			*(*[16]byte)(dst[n:]) = *(*[16]byte)(literals)
		default:
			to, from := dst[n:n+run], literals[:run]
			for i := range to {
				to[i] = from[i]
			}
		}
		literals = literals[run:]
		n += run
		if back <= 0 || back > n-start || back > window || long > len(dst)-n {
			return -1
		}
		switch {
		case long > copyFrom && back >= long:
			copy(dst[n:n+long], dst[n-back:])
		case word == 64 && back >= 16 && len(dst)-n >= long+16:
			for i := 0; i < long; i += 16 {
				*(*[16]byte)(dst[n+i:]) = *(*[16]byte)(dst[n+i-back:])
			}
		default:
			from, to := dst[n-back:][:long], dst[n:][:long]
			for i := range to {
				to[i] = from[i]
			}
		}
		n += long

		count--
		if count == 0 {
			break
		}
		ob, mb, lb = offset.bits(), match.bits(), length.bits()
		if lb+mb+ob > have {
			if pos < end {
				return -1
			}
			w = load(b, pos)
			if lb+mb+ob > uint(valid) {
				// The next one's offset is read by itself.
				rest := read(b, pos-int(lb+mb), ob)
				offset = offsets[(offset.next()+rest)&(1<<offsetsLog-1)]
				length = lengths[(length.next()+top(w, lb))&(1<<maxLog-1)]
				w <<= lb & 31
				match = matches[(match.next()+top(w, mb))&(1<<maxLog-1)]
				pos -= int(lb + mb + ob)
				continue
			}
		}
		length = lengths[(length.next()+top(w, lb))&(1<<maxLog-1)]
		w <<= lb & 31
		match = matches[(match.next()+top(w, mb))&(1<<maxLog-1)]
		w <<= mb & 31
		offset = offsets[(offset.next()+top(w, ob))&(1<<offsetsLog-1)]
		pos -= int(lb + mb + ob)
	}
	if pos != end || len(literals) > len(dst)-n {
		return -1
	}
	d.recent = [3]int{rep0, rep1, rep2}
	return n + copy(dst[n:], literals)
}

// copyFrom is the length from which on a call is quicker than a loop.
const copyFrom = 16
