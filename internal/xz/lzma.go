// SPDX-License-Identifier: Apache-2.0

package xz

// The numbers of LZMA: see xz-file-format.txt, and lzma-specification.txt of the LZMA SDK.
const (
	bitModel   = 11 // bits of a probability
	moveBits   = 5
	half       = 1 << bitModel / 2
	top        = 1 << 24
	states     = 12
	litStates  = 7 // the states below this one follow a literal
	maxPos     = 1 << 4
	maxLiteral = 1 << 4 // lc + lp is 4 at most
	literal    = 0x300

	lenLow  = 8
	lenMid  = 8
	lenHigh = 256
	minLen  = 2

	distStates = 4
	slots      = 64
	endSlot    = 14 // the slots below this one have all their bits modelled
	fullDist   = 1 << (endSlot / 2)
	align      = 16

	// most is how many bytes of input one symbol takes at most.
	most = 20
)

// bits is a tree of probabilities whose leaves have so many.
type (
	tree3 [8]uint16
	tree8 [256]uint16
)

// lengths are the probabilities of a length.
type lengths struct {
	choice, choice2 uint16
	low, mid        [maxPos]tree3
	high            tree8
}

// lzma is the state that LZMA2's chunks hand on.
type lzma struct {
	state      uint32
	rep        [4]uint32
	lc, lp, pb uint32

	isMatch     [states][maxPos]uint16
	isRep       [states]uint16
	isRep0      [states]uint16
	isRep1      [states]uint16
	isRep2      [states]uint16
	isRep0Long  [states][maxPos]uint16
	slot        [distStates][slots]uint16
	dist        [fullDist]uint16
	align       [align]uint16
	match, rept lengths
	literal     [maxLiteral][literal]uint16
}

func even(p []uint16) {
	for i := range p {
		p[i] = half
	}
}

func (l *lengths) reset(positions uint32) {
	l.choice, l.choice2 = half, half
	for i := range l.low[:positions] {
		even(l.low[i][:])
		even(l.mid[i][:])
	}
	even(l.high[:])
}

// reset makes all probabilities even.
func (z *lzma) reset() {
	z.state = 0
	z.rep = [4]uint32{}
	for i := range z.isMatch {
		even(z.isMatch[i][:])
		even(z.isRep0Long[i][:])
	}
	even(z.isRep[:])
	even(z.isRep0[:])
	even(z.isRep1[:])
	even(z.isRep2[:])
	for i := range z.slot {
		even(z.slot[i][:])
	}
	even(z.dist[:])
	even(z.align[:])
	z.match.reset(1 << z.pb)
	z.rept.reset(1 << z.pb)
	for i := range z.literal[:1<<(z.lc+z.lp)] {
		even(z.literal[i][:])
	}
}

// properties takes the byte that says lc, lp and pb.
func (z *lzma) properties(b byte) bool {
	if b > (4*5+4)*9+8 {
		return false
	}
	z.pb = uint32(b) / (9 * 5)
	b -= byte(z.pb) * 9 * 5
	z.lp = uint32(b) / 9
	z.lc = uint32(b) - z.lp*9
	return z.lc+z.lp <= 4
}
