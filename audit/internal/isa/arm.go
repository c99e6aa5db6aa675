// SPDX-License-Identifier: Apache-2.0

package isa

import (
	"encoding/binary"
	"math/bits"
)

// decodeARM decodes A32, and T32 if the state says so (Arm ARM DDI 0406C).
func decodeARM(code []byte, pos int64, st *State) (Inst, bool) {
	if st.Thumb {
		return decodeThumb(code, pos, st)
	}
	if pos < 0 || pos+4 > int64(len(code)) {
		return Inst{}, false
	}
	op := binary.LittleEndian.Uint32(code[pos:])
	in := Inst{Len: 4, Dst: NoReg, Src: NoReg, Size: 4, CC: CCUnknown}
	cond := op >> 28
	if cond == 0xf {
		if op&0x0e000000 == 0x0a000000 { // BLX label: to T32
			in.Kind = Call
			in.Target = pos + 8 + signExtend(uint64(op&0xffffff), 24)*4 + int64(op>>24&1)*2
		}
		return in, true
	}
	in.Cond = cond != 0xe
	if in.Cond {
		in.CC = uint8(cond)
	}
	// With S set, or to and from the coprocessors and the status register.
	in.Flags = op&0x0c000000 == 0 && op&(1<<20) != 0 || op&0x0c000000 == 0x0c000000 || op&0x0fb00000 == 0x03200000
	switch {
	case in.branchA32(op, pos), in.moveA32(op, pos), in.memoryA32(op, pos):
	default:
		in.clobberA32(op)
	}
	if in.Kind != Call && in.Kind != Jump && in.Kind != CondJump && in.Kind != Store &&
		(in.Dst == 15 || in.Clobbers&(1<<15) != 0) {
		in.Table = op&0x0e000000 != 0x08000000 && in.Kind != Return // not by LDM
		in.Kind = Return
	}
	if in.Kind == Return && in.Cond { // the other way falls through
		in = Inst{Len: 4, Dst: NoReg, Src: NoReg, Cond: true, CC: CCUnknown, Table: in.Table}
	}
	return in, true
}

// branchA32 decodes branches, and reports whether op is one.
func (in *Inst) branchA32(op uint32, pos int64) bool {
	branch := pos + 8 + signExtend(uint64(op&0xffffff), 24)*4
	switch {
	case op&0x0f000000 == 0x0b000000:
		in.Kind, in.Target = Call, branch
	case op&0x0f000000 == 0x0a000000:
		in.Kind, in.Target = Jump, branch
		if in.Cond {
			in.Kind = CondJump
		}
	case op&0x0ffffff0 == 0x012fff30:
		in.Kind = CallReg
	case op&0x0ffffff0 == 0x012fff10:
		in.Kind, in.Table = Return, op&15 != 14
	default:
		return false
	}
	return true
}

// moveA32 decodes what moves, compares and adds constants and registers, and
// reports whether op does.
func (in *Inst) moveA32(op uint32, pos int64) bool {
	rd, rn := uint8(op>>12&15), uint8(op>>16&15)
	rot := int64(bits.RotateLeft32(op&0xff, -int(op>>8&15)*2))
	switch {
	case op&0x0ff00000 == 0x03000000: // MOVW
		in.Kind, in.Dst, in.Imm = Const, rd, int64(op>>4&0xf000|op&0xfff)
	case op&0x0ff00000 == 0x03400000: // MOVT
		in.Kind, in.Dst, in.Imm, in.Shift = High, rd, int64(op>>4&0xf000|op&0xfff), 16
	case op&0x0fe00000 == 0x03a00000: // MOV #imm
		in.Kind, in.Dst, in.Imm = Const, rd, rot
	case op&0x0fe00000 == 0x03e00000: // MVN #imm
		in.Kind, in.Dst, in.Imm = Const, rd, int64(^uint32(rot))
	case op&0x0ff00000 == 0x03500000: // CMP #imm
		in.Kind, in.Src, in.Imm = Compare, rn, rot
	case op&0x0fff03f0 == 0x06ef0070, op&0x0fff03f0 == 0x06ff0070: // UXTB, UXTH
		in.Kind, in.Dst, in.Src, in.Size = Move, rd, uint8(op&15), 1+uint8(op>>20&1)
	case op&0x0fe00ff0 == 0x01a00000: // MOV reg
		in.Kind, in.Dst, in.Src = Move, rd, uint8(op&15)
	case op&0x0fe00000 == 0x02800000, op&0x0fe00000 == 0x02400000: // ADD, SUB #imm
		if op&0x0fe00000 == 0x02400000 {
			rot = -rot
		}
		in.Kind, in.Dst, in.Src, in.Imm = Add, rd, rn, rot
		if rn == 15 {
			in.Kind, in.Target = PCRel, pos+8+rot
		}
	default:
		return false
	}
	return true
}

// memoryA32 decodes loads and stores, and reports whether op is one.
func (in *Inst) memoryA32(op uint32, pos int64) bool {
	rd, rn := uint8(op>>12&15), uint8(op>>16&15)
	imm12 := int64(op & 0xfff)
	if op&(1<<23) == 0 {
		imm12 = -imm12
	}
	switch {
	case op&0x0e500000 == 0x04100000: // LDR word, immediate
		in.Kind, in.Dst, in.Src, in.Imm = Load, rd, rn, imm12
		if rn == 15 {
			in.Kind, in.Target = LoadPC, pos+8+imm12
		} else if op&(1<<24) == 0 { // post-indexed
			in.Imm, in.Clobbers = 0, mask(rn)
		} else if op&(1<<21) != 0 {
			in.Clobbers = mask(rn)
		}
	case op&0x0e500000 == 0x04000000: // STR word, immediate
		in.Kind, in.Src, in.Dst, in.Imm = Store, rd, rn, imm12
		if op&(1<<24) == 0 || op&(1<<21) != 0 {
			in.Kind, in.Clobbers = Other, mask(rn)
		}
	case op&0x0c000000 == 0x04000000: // other loads and stores, media
		if op&0x01200000 != 0x01000000 || op&0x02000010 == 0x02000010 { // not offset without write back
			in.Clobbers = mask(rn)
		}
		if op&(1<<20) != 0 || op&0x02000010 == 0x02000010 {
			in.Clobbers |= mask(rd)
		}
	case op&0x0e000000 == 0x08000000: // LDM, STM
		if op&(1<<20) != 0 {
			in.Clobbers = uint64(op & 0xffff)
		}
		if op&(1<<21) != 0 {
			in.Clobbers |= mask(rn)
		}
	default:
		return false
	}
	return true
}

// clobberA32 tells which registers any other instruction may change.
func (in *Inst) clobberA32(op uint32) {
	rd, rn := uint8(op>>12&15), uint8(op>>16&15)
	switch {
	case op&0x0c000000 == 0: // data processing, multiplies, extra loads
		if op&0x01900000 != 0x01100000 || op&0x02000090 == 0x90 { // not TST, TEQ, CMP, CMN
			in.Clobbers = mask(rd)
		}
		if op&0x02000090 == 0x90 {
			in.Clobbers |= mask(rn) | mask(rd^1)
		}
	case op&0x0c000000 == 0x0c000000: // coprocessor, SVC
		in.Clobbers = mask(rd, rn)
	}
}
