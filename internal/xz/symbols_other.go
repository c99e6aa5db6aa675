// SPDX-License-Identifier: Apache-2.0

//go:build !arm

package xz

// The trees of bits without a branch for each bit: most bits are as likely 0 as 1, and a
// processor with a long pipeline guesses wrong at half of these. What a bit was is a
// mask, zero, of ones if it was 0. Both probabilities that may come next are read
// before it is known which.

// zeroBit makes a probability's step down the one up that a 0 is.
const zeroBit = ^uint32(0)&^(1<<bitModel-1) | 1<<moveBits - 1

// wide says that eight bytes take no more to copy than one.
const wide = true

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

		bit := match >> i & 1
		p := &lit[0x100+bit<<8+match>>(i+1)]
		v := uint32(*p)
		bound := r.rng >> bitModel * v
		d := uint64(r.code) - uint64(bound)
		zero := uint32(d >> 32)
		r.code = uint32(d) + bound&zero
		r.rng -= bound
		r.rng ^= (r.rng ^ bound) & zero

		*p = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
		if bit+zero == 0 { // it is another
			symbol := match>>i ^ 1
			if i > 0 {
				r, symbol = r.eight(in, (*tree8)(lit[:]), symbol)
			}
			return r, byte(symbol)
		}
	}
	return r, byte(match)
}

// eight decodes the rest of eight bits, of which symbol has the first behind a 1.
func (r rc) eight(in []byte, t *tree8, symbol uint32) (rc, uint32) {
	const leaves = uint32(len(t))
	v := uint32(t[symbol&(leaves-1)])
	for symbol < leaves/2 {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(t[symbol*2]), uint32(t[symbol*2+1])
		bound := r.rng >> bitModel * v
		d := uint64(r.code) - uint64(bound)
		zero := uint32(d >> 32)
		r.code = uint32(d) + bound&zero
		r.rng -= bound
		r.rng ^= (r.rng ^ bound) & zero
		t[symbol] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
		symbol = symbol<<1 + 1 + zero
		v = n1 ^ (n0^n1)&zero
	}
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	bound := r.rng >> bitModel * v
	d := uint64(r.code) - uint64(bound)
	zero := uint32(d >> 32)
	r.code = uint32(d) + bound&zero
	r.rng -= bound
	r.rng ^= (r.rng ^ bound) & zero
	t[symbol&(leaves-1)] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
	symbol = symbol<<1 + 1 + zero
	return r, symbol
}

// three decodes three bits behind a 1.
func (r rc) three(in []byte, t *tree3) (rc, uint32) {
	const leaves = uint32(len(t))
	symbol, v := uint32(1), uint32(t[1])
	for symbol < leaves/2 {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(t[symbol*2]), uint32(t[symbol*2+1])
		bound := r.rng >> bitModel * v
		d := uint64(r.code) - uint64(bound)
		zero := uint32(d >> 32)
		r.code = uint32(d) + bound&zero
		r.rng -= bound
		r.rng ^= (r.rng ^ bound) & zero
		t[symbol] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
		symbol = symbol<<1 + 1 + zero
		v = n1 ^ (n0^n1)&zero
	}
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	bound := r.rng >> bitModel * v
	d := uint64(r.code) - uint64(bound)
	zero := uint32(d >> 32)
	r.code = uint32(d) + bound&zero
	r.rng -= bound
	r.rng ^= (r.rng ^ bound) & zero
	t[symbol&(leaves-1)] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
	symbol = symbol<<1 + 1 + zero
	return r, symbol
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
	symbol, v := uint32(1), uint32(t[1])
	for symbol < slots/2 {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(t[symbol*2]), uint32(t[symbol*2+1])
		bound := r.rng >> bitModel * v
		d := uint64(r.code) - uint64(bound)
		zero := uint32(d >> 32)
		r.code = uint32(d) + bound&zero
		r.rng -= bound
		r.rng ^= (r.rng ^ bound) & zero
		t[symbol] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
		symbol = symbol<<1 + 1 + zero
		v = n1 ^ (n0^n1)&zero
	}
	if r.rng < top {
		r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
	}
	bound := r.rng >> bitModel * v
	d := uint64(r.code) - uint64(bound)
	zero := uint32(d >> 32)
	r.code = uint32(d) + bound&zero
	r.rng -= bound
	r.rng ^= (r.rng ^ bound) & zero
	t[symbol&(slots-1)] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
	symbol = symbol<<1 + 1 + zero

	symbol -= slots
	if symbol < 4 {
		return r, symbol
	}
	count := symbol>>1 - 1
	rep := 2 | symbol&1
	if symbol < endSlot {
		rep <<= count
		base := rep - symbol
		symbol = 1
		v := uint32(z.dist[(base+1)&(fullDist-1)])
		for b := uint32(0); b < count; b++ {
			if r.rng < top {
				r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
			}
			n0, n1 := uint32(z.dist[(base+symbol*2)&(fullDist-1)]), uint32(z.dist[(base+symbol*2+1)&(fullDist-1)])
			bound := r.rng >> bitModel * v
			d := uint64(r.code) - uint64(bound)
			zero := uint32(d >> 32)
			r.code = uint32(d) + bound&zero
			r.rng -= bound
			r.rng ^= (r.rng ^ bound) & zero
			z.dist[(base+symbol)&(fullDist-1)] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
			symbol = symbol<<1 + 1 + zero
			v = n1 ^ (n0^n1)&zero
			rep += (1 + zero) << (b & 31)
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
	symbol, v = 1, uint32(z.align[1])
	for b := uint32(0); b < 4; b++ {
		if r.rng < top {
			r.rng, r.code, r.at = r.rng<<8, r.code<<8|uint32(in[r.at]), r.at+1
		}
		n0, n1 := uint32(z.align[symbol*2&(align-1)]), uint32(z.align[(symbol*2+1)&(align-1)])
		bound := r.rng >> bitModel * v
		d := uint64(r.code) - uint64(bound)
		zero := uint32(d >> 32)
		r.code = uint32(d) + bound&zero
		r.rng -= bound
		r.rng ^= (r.rng ^ bound) & zero
		z.align[symbol&(align-1)] = uint16(v - uint32(int32(v+zero&zeroBit)>>moveBits))
		symbol = symbol<<1 + 1 + zero
		v = n1 ^ (n0^n1)&zero
		rep += (1 + zero) << (b & 31)
	}
	return r, rep
}
