// SPDX-License-Identifier: Apache-2.0

//go:build !arm

package xz

// The trees of bits without a branch for each bit: most bits are as likely 0 as 1, and a
// processor with a long pipeline guesses wrong at half of these. Both probabilities that
// may come next are read before it is known which.
//
// The compiler makes conditional moves of the ifs that follow a comparison, but not for what
// an address is computed from, by way of other numbers or not (its pass branchelim). A bool
// ends that way: so the range and the code are moved by what was compared, and the
// symbol, which is an index, is counted by bit, which the same bool sets.

// zeroBit makes a probability's step down the one up that a 0 is.
const zeroBit = ^uint32(0)&^(1<<bitModel-1) | 1<<moveBits - 1

// wide says that eight bytes take no more to copy than one.
const wide = true

// afterLiteral is the state that a literal makes of a state: what the format says, four bits
// for each.
func afterLiteral(state uint32) uint32 {
	return uint32(uint64(0x546543210000)>>(state*4&63)) & 0xf
}

// literal decodes a byte.
func (r rc) literal(in []byte, lit *[literal]uint16) (rc, byte) {
	r, symbol := r.eight(in, (*tree8)(lit[:]), 1)
	return r, byte(symbol)
}

// other decodes a byte that is not match. As long as its bits are those of match, they
// have probabilities of their own, and where that ends can be guessed.
func (r rc) other(in []byte, lit *[literal]uint16, match uint32) (rc, byte) {
	match |= 0x100
	for i := 7; i >= 0; i-- {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}

		same := match >> i & 1
		p := &lit[0x100+same<<8+match>>(i+1)]
		v := uint32(*p)
		bound := r.rng >> bitModel * v
		zero, bit := r.code < bound, uint(1)
		if zero {
			bit = 0
		}
		rng, code := r.rng-bound, r.code-bound
		if zero {
			rng, code = bound, r.code
		}
		r.rng, r.code = rng, code
		*p = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
		if uint32(bit) != same { // it is another
			symbol := match>>i ^ 1
			if i > 0 {
				r, symbol = r.eight(in, (*tree8)(lit[:]), symbol)
			}
			return r, byte(symbol)
		}
	}
	return r, byte(match)
}

// eight decodes the rest of eight bits, of which from has the first behind a 1.
func (r rc) eight(in []byte, t *tree8, from uint32) (rc, uint32) {
	const leaves = uint(len(t))
	symbol := uint(from)
	v := uint32(t[symbol&(leaves-1)])
	for symbol < leaves/2 {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(t[symbol*2]), uint32(t[symbol*2+1])
		bound := r.rng >> bitModel * v
		zero, bit := r.code < bound, uint(1)
		if zero {
			bit = 0
		}
		rng, code := r.rng-bound, r.code-bound
		if zero {
			rng, code = bound, r.code
		}
		r.rng, r.code = rng, code
		t[symbol] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
		symbol = symbol<<1 + bit
		if v = n1; zero {
			v = n0
		}
	}
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	bound := r.rng >> bitModel * v
	zero, bit := r.code < bound, uint(1)
	if zero {
		bit = 0
	}
	rng, code := r.rng-bound, r.code-bound
	if zero {
		rng, code = bound, r.code
	}
	r.rng, r.code = rng, code
	t[symbol&(leaves-1)] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
	symbol = symbol<<1 + bit
	return r, uint32(symbol)
}

// three decodes three bits behind a 1.
func (r rc) three(in []byte, t *tree3) (rc, uint32) {
	const leaves = uint(len(t))
	symbol, v := uint(1), uint32(t[1])
	for symbol < leaves/2 {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(t[symbol*2]), uint32(t[symbol*2+1])
		bound := r.rng >> bitModel * v
		zero, bit := r.code < bound, uint(1)
		if zero {
			bit = 0
		}
		rng, code := r.rng-bound, r.code-bound
		if zero {
			rng, code = bound, r.code
		}
		r.rng, r.code = rng, code
		t[symbol] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
		symbol = symbol<<1 + bit
		if v = n1; zero {
			v = n0
		}
	}
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	bound := r.rng >> bitModel * v
	zero, bit := r.code < bound, uint(1)
	if zero {
		bit = 0
	}
	rng, code := r.rng-bound, r.code-bound
	if zero {
		rng, code = bound, r.code
	}
	r.rng, r.code = rng, code
	t[symbol&(leaves-1)] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
	symbol = symbol<<1 + bit
	return r, uint32(symbol)
}

// length decodes the length of a match. Which of three ranges it is in can be guessed.
func (r rc) length(in []byte, l *lengths, posState uint32) (rc, int) {
	posState &= maxPos - 1
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	v := uint32(l.choice)
	if bound := r.rng >> bitModel * v; r.code < bound {
		r.rng = bound
		l.choice = uint16(v + (1<<bitModel-v)>>moveBits)
		r, symbol := r.three(in, &l.low[posState])
		return r, int(symbol) - lenLow + minLen
	} else {
		r.rng -= bound
		r.code -= bound
		l.choice = uint16(v - v>>moveBits)
	}
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	v = uint32(l.choice2)
	if bound := r.rng >> bitModel * v; r.code < bound {
		r.rng = bound
		l.choice2 = uint16(v + (1<<bitModel-v)>>moveBits)
		r, symbol := r.three(in, &l.mid[posState])
		return r, int(symbol) - lenMid + lenLow + minLen
	} else {
		r.rng -= bound
		r.code -= bound
		l.choice2 = uint16(v - v>>moveBits)
	}
	r, symbol := r.eight(in, &l.high, 1)
	return r, int(symbol) - lenHigh + lenLow + lenMid + minLen
}

// distance decodes how far back a match is, whose length is n.
//
// In one piece: each bit is decoded in line, with the range in registers, and not by a call.
func (r rc) distance(in []byte, z *lzma, n int) (rc, uint32) {
	t := &z.slot[min(n-minLen, distStates-1)&(distStates-1)]
	symbol, v := uint(1), uint32(t[1])
	for symbol < slots/2 {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(t[symbol*2]), uint32(t[symbol*2+1])
		bound := r.rng >> bitModel * v
		zero, bit := r.code < bound, uint(1)
		if zero {
			bit = 0
		}
		rng, code := r.rng-bound, r.code-bound
		if zero {
			rng, code = bound, r.code
		}
		r.rng, r.code = rng, code
		t[symbol] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
		symbol = symbol<<1 + bit
		if v = n1; zero {
			v = n0
		}
	}
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	bound := r.rng >> bitModel * v
	zero, bit := r.code < bound, uint(1)
	if zero {
		bit = 0
	}
	rng, code := r.rng-bound, r.code-bound
	if zero {
		rng, code = bound, r.code
	}
	r.rng, r.code = rng, code
	t[symbol&(slots-1)] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
	symbol = symbol<<1 + bit

	slot := uint32(symbol - slots)
	if slot < 4 {
		return r, slot
	}
	symbol = 1
	count := slot>>1 - 1
	rep := 2 | slot&1
	if slot < endSlot {
		rep <<= count
		base := uint(rep - slot)
		v := uint32(z.dist[(base+1)&(fullDist-1)])
		for b := uint32(0); b < count; b++ {
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			n0, n1 := uint32(z.dist[(base+symbol*2)&(fullDist-1)]), uint32(z.dist[(base+symbol*2+1)&(fullDist-1)])
			bound := r.rng >> bitModel * v
			zero, bit := r.code < bound, uint(1)
			if zero {
				bit = 0
			}
			rng, code := r.rng-bound, r.code-bound
			if zero {
				rng, code = bound, r.code
			}
			r.rng, r.code = rng, code
			z.dist[(base+symbol)&(fullDist-1)] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
			symbol = symbol<<1 + bit
			if v = n1; zero {
				v = n0
			}
			rep += uint32(bit) << (b & 31)
		}
		return r, rep
	}
	for count -= 4; count > 0; count-- {
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
	v = uint32(z.align[1])
	for b := uint32(0); b < 4; b++ {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(z.align[symbol*2&(align-1)]), uint32(z.align[(symbol*2+1)&(align-1)])
		bound := r.rng >> bitModel * v
		zero, bit := r.code < bound, uint(1)
		if zero {
			bit = 0
		}
		rng, code := r.rng-bound, r.code-bound
		if zero {
			rng, code = bound, r.code
		}
		r.rng, r.code = rng, code
		z.align[symbol&(align-1)] = uint16(v - uint32(int32(v+uint32(bit-1)&zeroBit)>>moveBits))
		symbol = symbol<<1 + bit
		if v = n1; zero {
			v = n0
		}
		rep += uint32(bit) << (b & 31)
	}
	return r, rep
}
