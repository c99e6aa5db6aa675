// SPDX-License-Identifier: Apache-2.0

package isa

import "encoding/binary"

// decodeThumb decodes T32 (Arm ARM DDI 0406C, chapter A6).
func decodeThumb(code []byte, pos int64, st *State) (Inst, bool) {
	if pos < 0 || pos+2 > int64(len(code)) {
		return Inst{}, false
	}
	h := uint32(binary.LittleEndian.Uint16(code[pos:]))
	cond := false
	if st.it&15 != 0 {
		cond = st.it>>4 != 0xe
		if st.it&7 == 0 {
			st.it = 0
		} else {
			st.it = st.it&0xe0 | st.it<<1&0x1f
		}
	}
	var in Inst
	if h>>11 >= 0x1d {
		if pos+4 > int64(len(code)) {
			return Inst{}, false
		}
		in = thumb32(h, uint32(binary.LittleEndian.Uint16(code[pos+2:])), pos)
		in.Flags = h&0x10 != 0 && (h>>9 == 0x75 || h&0xfa00 == 0xf000 && in.Kind != Call) || h&0xec00 == 0xec00 || h&0xff80 == 0xf380
	} else {
		inIT := st.it&15 != 0
		in = thumb16(h, pos, st)
		in.Flags = (h < 0x4400 && !inIT) || h&0xff00 == 0x4500 || h&0xffc0 == 0x4280 || h&0xf800 == 0x2800
	}
	if cond {
		switch in.Kind {
		case Return:
			in = Inst{Len: in.Len, Dst: NoReg, Src: NoReg, CC: CCUnknown, Table: in.Table}
		case Jump:
			in.Kind = CondJump
		}
		in.Cond = true
	}
	return in, true
}

func thumb16(h uint32, pos int64, st *State) Inst {
	in := Inst{Len: 2, Dst: NoReg, Src: NoReg, Size: 4, CC: CCUnknown}
	switch {
	case in.branchT16(h, pos, st), in.moveT16(h, pos), in.memoryT16(h, pos):
	default:
		in.clobberT16(h)
	}
	return in
}

// branchT16 decodes branches and what begins or ends a function, and reports
// whether h is one.
func (in *Inst) branchT16(h uint32, pos int64, st *State) bool {
	switch {
	case h&0xff00 == 0xbf00:
		if h&15 != 0 {
			st.it = uint8(h)
		}
	case h&0xf800 == 0xe000:
		in.Kind, in.Target = Jump, pos+4+signExtend(uint64(h&0x7ff), 11)*2
	case h&0xf000 == 0xd000 && h>>8&15 < 14:
		in.Kind, in.Target = CondJump, pos+4+signExtend(uint64(h&0xff), 8)*2
		in.CC = uint8(h >> 8 & 15)
	case h&0xf500 == 0xb100: // CBZ, CBNZ
		in.Kind, in.Target = CondJump, pos+4+int64(h>>9&1)<<6+int64(h>>3&31)<<1
		in.Src, in.Zero, in.CC = uint8(h&7), true, uint8(h>>11&1)
	case h&0xff80 == 0x4780:
		in.Kind = CallReg
	case h&0xff80 == 0x4700, h&0xff00 == 0xbd00: // BX, POP {…,pc}
		in.Kind, in.Table = Return, h&0xff80 == 0x4700 && h>>3&15 != 14
	case h&0xff00 == 0xbc00: // POP
		in.Clobbers = uint64(h & 0xff)
	default:
		return false
	}
	return true
}

// moveT16 decodes what moves, compares and adds constants and registers, and
// reports whether h does.
func (in *Inst) moveT16(h uint32, pos int64) bool {
	lo, mid, high := uint8(h&7), uint8(h>>3&7), uint8(h>>8&7)
	imm8 := int64(h & 0xff)
	switch {
	case h&0xf800 == 0x2800: // CMP #imm8
		in.Kind, in.Src, in.Imm = Compare, high, imm8
	case h&0xffc0 == 0xb2c0: // UXTB
		in.Kind, in.Dst, in.Src, in.Size = Move, lo, mid, 1
	case h&0xffc0 == 0xb280: // UXTH
		in.Kind, in.Dst, in.Src, in.Size = Move, lo, mid, 2
	case h&0xf800 == 0x2000: // MOVS #imm8
		in.Kind, in.Dst, in.Imm = Const, high, imm8
	case h&0xff00 == 0x4600: // MOV
		in.Kind, in.Dst, in.Src = Move, uint8(h>>4&8)|lo, uint8(h>>3&15)
	case h&0xffc0 == 0x0000: // MOVS (LSL #0)
		in.Kind, in.Dst, in.Src = Move, lo, mid
	case h&0xfe00 == 0x1c00:
		in.Kind, in.Dst, in.Src, in.Imm = Add, lo, mid, int64(h>>6&7)
	case h&0xfe00 == 0x1e00:
		in.Kind, in.Dst, in.Src, in.Imm = Add, lo, mid, -int64(h>>6&7)
	case h&0xf800 == 0x3000:
		in.Kind, in.Dst, in.Src, in.Imm = Add, high, high, imm8
	case h&0xf800 == 0x3800:
		in.Kind, in.Dst, in.Src, in.Imm = Add, high, high, -imm8
	case h&0xff80 == 0xb000:
		in.Kind, in.Dst, in.Src, in.Imm = Add, 13, 13, int64(h&0x7f)*4
	case h&0xff80 == 0xb080:
		in.Kind, in.Dst, in.Src, in.Imm = Add, 13, 13, -int64(h&0x7f)*4
	case h&0xf800 == 0xa000: // ADR
		in.Kind, in.Dst, in.Target = PCRel, high, (pos+4)&^3+imm8*4
	case h&0xf800 == 0xa800:
		in.Kind, in.Dst, in.Src, in.Imm = Add, high, 13, imm8*4
	default:
		return false
	}
	return true
}

// memoryT16 decodes loads and stores of words, and reports whether h is one.
func (in *Inst) memoryT16(h uint32, pos int64) bool {
	lo, mid, high := uint8(h&7), uint8(h>>3&7), uint8(h>>8&7)
	imm8 := int64(h & 0xff)
	switch {
	case h&0xf800 == 0x4800: // LDR literal
		in.Kind, in.Dst, in.Target = LoadPC, high, (pos+4)&^3+imm8*4
	case h&0xf800 == 0x6800: // LDR
		in.Kind, in.Dst, in.Src, in.Imm = Load, lo, mid, int64(h>>6&31)*4
	case h&0xf800 == 0x6000: // STR
		in.Kind, in.Src, in.Dst, in.Imm = Store, lo, mid, int64(h>>6&31)*4
	case h&0xf800 == 0x9800:
		in.Kind, in.Dst, in.Src, in.Imm = Load, high, 13, imm8*4
	case h&0xf800 == 0x9000:
		in.Kind, in.Src, in.Dst, in.Imm = Store, high, 13, imm8*4
	default:
		return false
	}
	return true
}

// clobberT16 tells which registers any other instruction may change.
func (in *Inst) clobberT16(h uint32) {
	lo, high := uint8(h&7), uint8(h>>8&7)
	switch {
	case h&0xff00 == 0x4400: // ADD, high registers
		in.Clobbers = mask(uint8(h>>4&8) | lo)
	case h&0xf000 == 0xc000: // LDM, STM
		in.Clobbers = mask(high)
		if h&0x800 != 0 {
			in.Clobbers |= uint64(h & 0xff)
		}
	case h&0xff00 == 0x4500, h&0xffc0 == 0x4280, h&0xffc0 == 0x42c0, h&0xffc0 == 0x4200,
		h&0xfe00 == 0xb400, h&0xfe00 == 0x5000, h&0xfe00 == 0x5200, h&0xfe00 == 0x5400, h&0xf800 == 0x7000, h&0xf800 == 0x8000:
		// compares, PUSH, stores
	default:
		in.Clobbers = mask(lo)
	}
}

// expandImm is ThumbExpandImm.
func expandImm(i uint32) int64 {
	b := i & 0xff
	switch {
	case i>>8 == 0:
		return int64(b)
	case i>>8 == 1:
		return int64(b<<16 | b)
	case i>>8 == 2:
		return int64(b<<24 | b<<8)
	case i>>8 == 3:
		return int64(b<<24 | b<<16 | b<<8 | b)
	}
	v, r := i&0x7f|0x80, i>>7
	return int64(v>>r | v<<(32-r))
}

func thumb32(h, l uint32, pos int64) Inst {
	in := Inst{Len: 4, Dst: NoReg, Src: NoReg, Size: 4, CC: CCUnknown}
	switch {
	case in.branchT32(h, l, pos), in.moveT32(h, l, pos), in.memoryT32(h, l, pos):
	default:
		in.clobberT32(h, l)
	}
	if in.Dst == 15 && in.Kind != Store || in.Clobbers&(1<<15) != 0 {
		in.Table = h&0xfe40 != 0xe800
		in.Kind = Return
	}
	return in
}

// branchT32 decodes branches, and reports whether h and l are one.
func (in *Inst) branchT32(h, l uint32, pos int64) bool {
	long := func() int64 {
		s := h >> 10 & 1
		i1, i2 := ^(l>>13^s)&1, ^(l>>11^s)&1
		return signExtend(uint64(s<<24|i1<<23|i2<<22|h&0x3ff<<12|l&0x7ff<<1), 25)
	}
	switch {
	case h&0xf800 == 0xf000 && l&0xd000 == 0xd000: // BL
		in.Kind, in.Target = Call, pos+4+long()
	case h&0xf800 == 0xf000 && l&0xd001 == 0xc000: // BLX
		in.Kind, in.Target = Call, (pos+4)&^3+long()
	case h&0xf800 == 0xf000 && l&0xd000 == 0x9000: // B.W
		in.Kind, in.Target = Jump, pos+4+long()
	case h&0xf800 == 0xf000 && l&0xd000 == 0x8000 && h>>7&7 != 7: // Bcc.W
		off := h>>10&1<<20 | l>>11&1<<19 | l>>13&1<<18 | h&0x3f<<12 | l&0x7ff<<1
		in.Kind, in.Target = CondJump, pos+4+signExtend(uint64(off), 21)
		in.CC = uint8(h >> 6 & 15)
	default:
		return false
	}
	return true
}

// moveT32 decodes what moves, compares and adds constants and registers, and
// reports whether h and l do.
func (in *Inst) moveT32(h, l uint32, pos int64) bool {
	rn, rd := uint8(h&15), uint8(l>>8&15)
	imm12 := h>>10&1<<11 | l>>12&7<<8 | l&0xff
	switch {
	case h&0xfbf0 == 0xf240: // MOVW
		in.Kind, in.Dst, in.Imm = Const, rd, int64(h&15<<12|imm12)
	case h&0xfbf0 == 0xf2c0: // MOVT
		in.Kind, in.Dst, in.Imm, in.Shift = High, rd, int64(h&15<<12|imm12), 16
	case h&0xfbef == 0xf04f: // MOV.W #imm
		in.Kind, in.Dst, in.Imm = Const, rd, expandImm(imm12)
	case h&0xfbef == 0xf06f: // MVN #imm
		in.Kind, in.Dst, in.Imm = Const, rd, int64(^uint32(expandImm(imm12)))
	case h&0xfbf0 == 0xf1b0 && rd == 15: // CMP.W #imm
		in.Kind, in.Src, in.Imm = Compare, rn, expandImm(imm12)
	case h&0xffef == 0xea4f && l&0x70f0 == 0: // MOV.W reg
		in.Kind, in.Dst, in.Src = Move, rd, uint8(l&15)
	case h&0xfbe0 == 0xf100 && rd != 15, h&0xfbe0 == 0xf1a0 && rd != 15: // ADD.W, SUB.W #imm
		in.Kind, in.Dst, in.Src, in.Imm = Add, rd, rn, expandImm(imm12)
		if h&0xfbe0 == 0xf1a0 {
			in.Imm = -in.Imm
		}
	case h&0xfbf0 == 0xf200, h&0xfbf0 == 0xf2a0: // ADDW, SUBW, ADR.W
		v := int64(imm12)
		if h&0xfbf0 == 0xf2a0 {
			v = -v
		}
		in.Kind, in.Dst, in.Src, in.Imm = Add, rd, rn, v
		if rn == 15 {
			in.Kind, in.Target = PCRel, (pos+4)&^3+v
		}
	default:
		return false
	}
	return true
}

// memoryT32 decodes loads and stores, and reports whether h and l are one.
func (in *Inst) memoryT32(h, l uint32, pos int64) bool {
	rn, rt, rd := uint8(h&15), uint8(l>>12&15), uint8(l>>8&15)
	switch {
	case h&0xff7f == 0xf85f: // LDR.W literal
		v := int64(l & 0xfff)
		if h&0x80 == 0 {
			v = -v
		}
		in.Kind, in.Dst, in.Target = LoadPC, rt, (pos+4)&^3+v
	case h&0xfff0 == 0xf8d0:
		in.Kind, in.Dst, in.Src, in.Imm = Load, rt, rn, int64(l&0xfff)
	case h&0xfff0 == 0xf8c0:
		in.Kind, in.Src, in.Dst, in.Imm = Store, rt, rn, int64(l&0xfff)
	case h&0xfe40 == 0xe800: // LDM, STM
		if h&0x10 != 0 {
			in.Clobbers = uint64(l & 0xffff)
		}
		if h&0x20 != 0 {
			in.Clobbers |= mask(rn)
		}
	case h&0xfff0 == 0xe8d0 && l&0xffe0 == 0xf000: // TBB, TBH: a switch
		in.Kind, in.Table = Return, true
	case h&0xfe00 == 0xe800: // LDRD, STRD, exclusives
		in.Clobbers = mask(rn)
		if h&0x10 != 0 {
			in.Clobbers |= mask(rt, rd)
		}
	case h&0xfe10 == 0xf810: // other loads
		in.Clobbers = mask(rt)
		if h&0x80 == 0 {
			in.Clobbers |= mask(rn)
		}
	case h&0xff10 == 0xf800: // other stores
		if h&0x80 == 0 && l&0x800 != 0 {
			in.Clobbers = mask(rn)
		}
	default:
		return false
	}
	return true
}

// clobberT32 tells which registers any other instruction may change.
func (in *Inst) clobberT32(h, l uint32) {
	rn, rt, rd := uint8(h&15), uint8(l>>12&15), uint8(l>>8&15)
	in.Clobbers = mask(rd)
	if h&0xfc00 == 0xfc00 || h&0xfc00 == 0xec00 {
		in.Clobbers |= mask(rt, rn)
	}
	if rd == 15 {
		in.Clobbers &^= 1 << 15 // a compare
	}
}
