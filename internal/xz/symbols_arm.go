// SPDX-License-Identifier: Apache-2.0

package xz

// The trees of bits with a branch for each bit, which takes a third fewer instructions
// than without (symbols_other.go): a processor with a short pipeline loses little where it
// guesses wrong.

// wide says that eight bytes take no more to copy than one.
const wide = false

// afterLiteral is the state that a literal makes of a state.
func afterLiteral(state uint32) uint32 {
	switch {
	case state <= 3:
		return 0
	case state <= 9:
		return state - 3
	}
	return state - 6
}

// literal decodes a byte.
func (r rc) literal(in []byte, lit *[literal]uint16) (rc, byte) {
	symbol := uint32(1)
	for symbol < 0x100 {
		{
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			p := &lit[symbol&0xff]
			v := uint32(*p)
			if bound := r.rng >> bitModel * v; r.code < bound {
				r.rng = bound
				*p = uint16(v + (1<<bitModel-v)>>moveBits)
				symbol <<= 1
			} else {
				r.rng -= bound
				r.code -= bound
				*p = uint16(v - v>>moveBits)
				symbol = symbol<<1 | 1
			}
		}
	}

	return r, byte(symbol)
}

// other decodes a byte that is not match: as long as its bits are those of match, they
// have probabilities of their own.
func (r rc) other(in []byte, lit *[literal]uint16, match uint32) (rc, byte) {
	match |= 0x100
	symbol := match
	for i := 7; i >= 0; i-- {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		bit := match >> i & 1
		p := &lit[0x100+bit<<8+match>>(i+1)]
		v := uint32(*p)
		if bound := r.rng >> bitModel * v; r.code < bound {
			r.rng = bound
			*p = uint16(v + (1<<bitModel-v)>>moveBits)
			if bit == 0 {
				continue
			}
		} else {
			r.rng -= bound
			r.code -= bound
			*p = uint16(v - v>>moveBits)
			if bit != 0 {
				continue
			}
		}
		symbol = match>>i ^ 1
		break
	}
	for symbol < 0x100 {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		p := &lit[symbol&0xff]
		v := uint32(*p)
		if bound := r.rng >> bitModel * v; r.code < bound {
			r.rng = bound
			*p = uint16(v + (1<<bitModel-v)>>moveBits)
			symbol <<= 1
		} else {
			r.rng -= bound
			r.code -= bound
			*p = uint16(v - v>>moveBits)
			symbol = symbol<<1 | 1
		}
	}
	return r, byte(symbol)
}

// length decodes the length of a match.
//
// In one piece: each bit is decoded in line, with the range in registers, and not by a call.
func (r rc) length(in []byte, l *lengths, posState uint32) (rc, int) {
	symbol := uint32(1)
	{
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		p := &l.choice
		v := uint32(*p)
		if bound := r.rng >> bitModel * v; r.code < bound {
			r.rng = bound
			*p = uint16(v + (1<<bitModel-v)>>moveBits)
			for symbol < 8 {
				{
					if r.rng < top {
						r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
					}
					p := &l.low[posState&(maxPos-1)][symbol&7]
					v := uint32(*p)
					if bound := r.rng >> bitModel * v; r.code < bound {
						r.rng = bound
						*p = uint16(v + (1<<bitModel-v)>>moveBits)
						symbol <<= 1
					} else {
						r.rng -= bound
						r.code -= bound
						*p = uint16(v - v>>moveBits)
						symbol = symbol<<1 | 1
					}
				}
			}
			return r, int(symbol) - 8 + minLen
		} else {
			r.rng -= bound
			r.code -= bound
			*p = uint16(v - v>>moveBits)

		}
	}
	{
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		p := &l.choice2
		v := uint32(*p)
		if bound := r.rng >> bitModel * v; r.code < bound {
			r.rng = bound
			*p = uint16(v + (1<<bitModel-v)>>moveBits)
			for symbol < 8 {
				{
					if r.rng < top {
						r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
					}
					p := &l.mid[posState&(maxPos-1)][symbol&7]
					v := uint32(*p)
					if bound := r.rng >> bitModel * v; r.code < bound {
						r.rng = bound
						*p = uint16(v + (1<<bitModel-v)>>moveBits)
						symbol <<= 1
					} else {
						r.rng -= bound
						r.code -= bound
						*p = uint16(v - v>>moveBits)
						symbol = symbol<<1 | 1
					}
				}
			}

			return r, int(symbol) - 8 + lenLow + minLen
		} else {
			r.rng -= bound
			r.code -= bound
			*p = uint16(v - v>>moveBits)

		}
	}
	for symbol < 256 {
		{
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			p := &l.high[symbol&0xff]
			v := uint32(*p)
			if bound := r.rng >> bitModel * v; r.code < bound {
				r.rng = bound
				*p = uint16(v + (1<<bitModel-v)>>moveBits)
				symbol <<= 1
			} else {
				r.rng -= bound
				r.code -= bound
				*p = uint16(v - v>>moveBits)
				symbol = symbol<<1 | 1
			}
		}
	}

	return r, int(symbol) - 256 + lenLow + lenMid + minLen
}

// distance decodes how far back a match is, whose length is n.
//
// In one piece: as length, bit by bit in line.
func (r rc) distance(in []byte, z *lzma, n int) (rc, uint32) {
	slots4 := &z.slot[min(n-minLen, distStates-1)&(distStates-1)]
	symbol := uint32(1)
	for symbol < slots {
		{
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			p := &slots4[symbol&(slots-1)]
			v := uint32(*p)
			if bound := r.rng >> bitModel * v; r.code < bound {
				r.rng = bound
				*p = uint16(v + (1<<bitModel-v)>>moveBits)
				symbol <<= 1
			} else {
				r.rng -= bound
				r.code -= bound
				*p = uint16(v - v>>moveBits)
				symbol = symbol<<1 | 1
			}
		}
	}

	symbol -= slots
	if symbol < 4 {
		return r, symbol
	}
	bits := symbol>>1 - 1
	rep := 2 | symbol&1
	if symbol < endSlot {
		rep <<= bits
		base := rep - symbol
		symbol = 1
		for b := uint32(0); b < bits; b++ {
			{
				if r.rng < top {
					r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
				}
				p := &z.dist[(base+symbol)&(fullDist-1)]
				v := uint32(*p)
				if bound := r.rng >> bitModel * v; r.code < bound {
					r.rng = bound
					*p = uint16(v + (1<<bitModel-v)>>moveBits)
					symbol <<= 1
				} else {
					r.rng -= bound
					r.code -= bound
					*p = uint16(v - v>>moveBits)
					symbol = symbol<<1 | 1
					rep += 1 << (b & 31)
				}
			}

		}
		return r, rep
	}
	for bits -= 4; bits > 0; bits-- {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		// A bit that is as likely 0 as 1, and has no probability.
		r.rng >>= 1
		r.code -= r.rng
		v := -(r.code >> 31)
		r.code += r.rng & v
		rep = rep<<1 + v + 1
	}
	rep <<= 4
	symbol = 1
	for b := uint32(0); b < 4; b++ {
		{
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			p := &z.align[symbol&(align-1)]
			v := uint32(*p)
			if bound := r.rng >> bitModel * v; r.code < bound {
				r.rng = bound
				*p = uint16(v + (1<<bitModel-v)>>moveBits)
				symbol <<= 1
			} else {
				r.rng -= bound
				r.code -= bound
				*p = uint16(v - v>>moveBits)
				symbol = symbol<<1 | 1
				rep += 1 << (b & 31)
			}
		}

	}
	return r, rep
}
