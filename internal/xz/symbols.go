// SPDX-License-Identifier: Apache-2.0

package xz

// rc is the range decoder.
//
// Each bit is written out below: the compiler takes none of it into its caller
// as a function, and three of four instructions of decompression are here. A bit
// is: a byte more of input if the range has become small; the bound between 0
// and 1 by its probability; that probability moved by what the bit was.
type rc struct {
	rng, code uint32
	at        int // the next byte of the input
}

// chunk decodes the symbols of one LZMA2 chunk into dst[pos:end], from
// in[at:limit], behind which at least most bytes must follow. What stands before
// dst[start] cannot be referred to.
//
// In one piece: what it keeps in local variables must not be stored at each symbol, which calls would force.
func (z *lzma) chunk(dst []byte, start, pos, end int, in []byte, at, limit int, window uint32) bool {
	if limit-at < 5 || in[at] != 0 {
		return false
	}
	r := rc{^uint32(0), be32(in[at+1:]), at + 5}
	var (
		state      = z.state
		rep0, rep1 = z.rep[0], z.rep[1]
		rep2, rep3 = z.rep[2], z.rep[3]
		posMask    = uint32(1)<<z.pb - 1
		litMask    = uint32(1)<<z.lp - 1
		lc         = z.lc
	)
	dst = dst[:end]
	for pos < end {
		if r.at > limit {
			return false
		}
		posState := uint32(pos-start) & posMask & (maxPos - 1)
		{
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			p := &z.isMatch[state][posState]
			v := uint32(*p)
			if bound := r.rng >> bitModel * v; r.code < bound {
				r.rng = bound
				*p = uint16(v + (1<<bitModel-v)>>moveBits)

				before := uint32(0)
				if pos > start {
					before = uint32(dst[pos-1])
				}
				lit := &z.literal[(uint32(pos-start)&litMask<<lc+before>>(8-lc))&(maxLiteral-1)]
				if state >= litStates {
					// The literal is not the byte that the last match would go on with.
					if rep0 >= uint32(pos-start) {
						return false
					}
					r, dst[pos] = r.other(in, lit, uint32(dst[pos-1-int(rep0)]))
				} else {
					r, dst[pos] = r.literal(in, lit)
				}
				pos++
				switch {
				case state <= 3:
					state = 0
				case state <= 9:
					state -= 3
				default:
					state -= 6
				}
				continue
			} else {
				r.rng -= bound
				r.code -= bound
				*p = uint16(v - v>>moveBits)

			}
		}

		n := 0
		{
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			p := &z.isRep[state]
			v := uint32(*p)
			if bound := r.rng >> bitModel * v; r.code < bound {
				r.rng = bound
				*p = uint16(v + (1<<bitModel-v)>>moveBits)

				rep1, rep2, rep3 = rep0, rep1, rep2
				r, n = r.length(in, &z.match, posState)
				r, rep0 = r.distance(in, z, n)
				if state < litStates {
					state = 7
				} else {
					state = 10
				}
			} else {
				r.rng -= bound
				r.code -= bound
				*p = uint16(v - v>>moveBits)
				{
					if r.rng < top {
						r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
					}
					p := &z.isRep0[state]
					v := uint32(*p)
					if bound := r.rng >> bitModel * v; r.code < bound {
						r.rng = bound
						*p = uint16(v + (1<<bitModel-v)>>moveBits)
						{
							if r.rng < top {
								r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
							}
							p := &z.isRep0Long[state][posState]
							v := uint32(*p)
							if bound := r.rng >> bitModel * v; r.code < bound {
								r.rng = bound
								*p = uint16(v + (1<<bitModel-v)>>moveBits)

								if rep0 >= uint32(pos-start) {
									return false
								}
								dst[pos] = dst[pos-1-int(rep0)]
								pos++
								if state < litStates {
									state = 9
								} else {
									state = 11
								}
								continue
							} else {
								r.rng -= bound
								r.code -= bound
								*p = uint16(v - v>>moveBits)

							}
						}

					} else {
						r.rng -= bound
						r.code -= bound
						*p = uint16(v - v>>moveBits)
						{
							if r.rng < top {
								r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
							}
							p := &z.isRep1[state]
							v := uint32(*p)
							if bound := r.rng >> bitModel * v; r.code < bound {
								r.rng = bound
								*p = uint16(v + (1<<bitModel-v)>>moveBits)
								rep0, rep1 = rep1, rep0
							} else {
								r.rng -= bound
								r.code -= bound
								*p = uint16(v - v>>moveBits)
								{
									if r.rng < top {
										r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
									}
									p := &z.isRep2[state]
									v := uint32(*p)
									if bound := r.rng >> bitModel * v; r.code < bound {
										r.rng = bound
										*p = uint16(v + (1<<bitModel-v)>>moveBits)
										rep0, rep1, rep2 = rep2, rep0, rep1
									} else {
										r.rng -= bound
										r.code -= bound
										*p = uint16(v - v>>moveBits)
										rep0, rep1, rep2, rep3 = rep3, rep0, rep1, rep2
									}
								}

							}
						}

					}
				}

				r, n = r.length(in, &z.rept, posState)
				if state < litStates {
					state = 8
				} else {
					state = 11
				}
			}
		}

		if rep0 >= uint32(pos-start) || rep0 >= window || n > end-pos {
			return false
		}
		from, to := dst[pos-1-int(rep0):][:n], dst[pos:][:n]
		if n > copyFrom && n <= int(rep0)+1 {
			copy(to, from)
		} else {
			for i := range to {
				to[i] = from[i]
			}
		}
		pos += n
	}
	if r.rng < top {
		if r.at >= limit {
			return false
		}
		r.code, r.at = r.code<<8|uint32(in[r.at]), r.at+1
	}
	z.state = state
	z.rep = [4]uint32{rep0, rep1, rep2, rep3}
	return r.code == 0 && r.at == limit
}

// copyFrom is the length from which on a call is quicker than a loop.
const copyFrom = 16

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

// other decodes a byte that is not match.
func (r rc) other(in []byte, lit *[literal]uint16, match uint32) (rc, byte) {
	symbol, offset := uint32(1), uint32(0x100)
	for symbol < 0x100 {
		match <<= 1
		side := match & offset
		{
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			p := &lit[offset+side+symbol]
			v := uint32(*p)
			if bound := r.rng >> bitModel * v; r.code < bound {
				r.rng = bound
				*p = uint16(v + (1<<bitModel-v)>>moveBits)
				symbol <<= 1
				offset &^= side
			} else {
				r.rng -= bound
				r.code -= bound
				*p = uint16(v - v>>moveBits)
				symbol = symbol<<1 | 1
				offset &= side
			}
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
