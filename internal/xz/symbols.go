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
	dst = dst[start:end]
	pos -= start
	for pos < len(dst) {
		if r.at > limit {
			return false
		}
		posState := uint32(pos) & posMask & (maxPos - 1)
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
				if pos > 0 {
					before = uint32(dst[pos-1])
				}
				lit := &z.literal[(uint32(pos)&litMask<<(lc&31)+before>>((8-lc)&31))&(maxLiteral-1)]
				if state >= litStates {
					// The literal is not the byte that the last match would go on with.
					if rep0 >= uint32(pos) {
						return false
					}
					r, dst[pos] = r.other(in, lit, uint32(dst[pos-1-int(rep0)]))
				} else {
					r, dst[pos] = r.literal(in, lit)
				}
				pos++
				state = afterLiteral(state)
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

								if rep0 >= uint32(pos) {
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

		if rep0 >= uint32(pos) || rep0 >= window || n > len(dst)-pos {
			return false
		}
		if wide && n <= 16 && len(dst)-pos >= 16 && rep0 >= 7 {
			// None of the first eight is what this writes itself.
			from, to := dst[pos-1-int(rep0):][:16], dst[pos:][:16]
			put64(to, le64(from))
			put64(to[8:], le64(from[8:]))
		} else {
			from, to := dst[pos-1-int(rep0):][:n], dst[pos:][:n]
			if n > copyFrom && n <= int(rep0)+1 {
				copy(to, from)
			} else {
				for i := range to {
					to[i] = from[i]
				}
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

func le64(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 |
		uint64(b[6])<<48 | uint64(b[7])<<56
}

func put64(b []byte, v uint64) {
	_ = b[7]
	b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40),
		byte(v>>48), byte(v>>56)
}
