// SPDX-License-Identifier: Apache-2.0

package isa

import (
	"encoding/binary"
	"math/bits"
)

// decodeARM64 decodes A64 (Arm ARM DDI 0487, chapter C4). Register 31 is the
// stack pointer where an instruction takes it as one, and otherwise left alone.
func decodeARM64(code []byte, pos int64, _ *State) (Inst, bool) {
	if pos < 0 || pos+4 > int64(len(code)) {
		return Inst{}, false
	}
	op := binary.LittleEndian.Uint32(code[pos:])
	in := Inst{Len: 4, Dst: NoReg, Src: NoReg, Size: 8, CC: CCUnknown}
	// ADDS, SUBS, ANDS, CCMP and the like; MOVK has the same bit; the rest of
	// floating point and system registers is not looked at.
	in.Flags = op&(1<<29) != 0 && op&0x1f800000 != 0x12800000 || op>>25&7 == 7 || op>>22 == 0x354
	switch {
	case in.branchA64(op, pos), in.moveA64(op, pos), in.memoryA64(op, pos):
	default: // system registers too
		in.Clobbers = mask(uint8(op&31)) &^ (1 << 31)
	}
	return in, true
}

// branchA64 decodes branches and exceptions, and reports whether op is one.
func (in *Inst) branchA64(op uint32, pos int64) bool {
	switch {
	case op&0xfc000000 == 0x94000000:
		in.Kind, in.Target = Call, pos+signExtend(uint64(op&0x3ffffff), 26)*4
	case op&0xfc000000 == 0x14000000:
		in.Kind, in.Target = Jump, pos+signExtend(uint64(op&0x3ffffff), 26)*4
	case op&0xff000000 == 0x54000000, op&0x7e000000 == 0x34000000:
		in.Kind, in.Target = CondJump, pos+signExtend(uint64(op>>5&0x7ffff), 19)*4
		if op&0xff000000 == 0x54000000 {
			in.CC = uint8(op & 15)
		} else { // CBZ, CBNZ
			in.Src, in.Zero, in.CC, in.Size = uint8(op&31), true, uint8(op>>24&1), 4<<(op>>31)
		}
	case op&0x7e000000 == 0x36000000:
		in.Kind, in.Target = CondJump, pos+signExtend(uint64(op>>5&0x3fff), 14)*4
	case op&0xfe9ff000 == 0xd61f0000 && op>>21&3 == 1: // BLR
		in.Kind = CallReg
	case op&0xfe000000 == 0xd6000000, op&0xffe0001f == 0xd4200000: // RET, BR, ERET, BRK
		in.Kind, in.Table = Return, op&0xfffffc1f == 0xd61f0000
	default:
		return false
	}
	return true
}

// moveA64 decodes what moves and adds constants, addresses and registers, and
// reports whether op does.
func (in *Inst) moveA64(op uint32, pos int64) bool {
	rd, rn := uint8(op&31), uint8(op>>5&31)
	switch {
	case op&0x9f000000 == 0x90000000: // ADRP
		in.Kind, in.Dst = PCRel, rd
		in.Target = pos&^0xfff + signExtend(uint64(op>>5&0x7ffff<<2|op>>29&3), 21)<<12
	case op&0x9f000000 == 0x10000000: // ADR
		in.Kind, in.Dst = PCRel, rd
		in.Target = pos + signExtend(uint64(op>>5&0x7ffff<<2|op>>29&3), 21)
	case op&0x1f800000 == 0x11000000: // ADD, SUB #imm
		imm12 := int64(op >> 10 & 0xfff)
		if op>>22&1 != 0 {
			imm12 <<= 12
		}
		if op&0x40000000 != 0 {
			imm12 = -imm12
		}
		in.Kind, in.Dst, in.Src, in.Imm = Add, rd, rn, imm12
		if op&0x20000000 != 0 && rd == 31 { // CMP
			in.Kind, in.Dst = Other, NoReg
			if op&0x40000000 != 0 {
				in.Kind, in.Imm, in.Size = Compare, -imm12, 4<<(op>>31)
			}
		} else if op&0x20000000 != 0 { // the flags are set too: leave both alone
			in.Kind, in.Dst, in.Src, in.Clobbers = Other, NoReg, NoReg, mask(rd)
		}
	case op&0xfffffc00 == 0x12001c00, op&0xfffffc00 == 0x92401c00: // AND #0xff
		in.Kind, in.Dst, in.Src, in.Size = Move, rd, rn, 1
	case op&0xfffffc00 == 0x12003c00, op&0xfffffc00 == 0x92403c00: // AND #0xffff
		in.Kind, in.Dst, in.Src, in.Size = Move, rd, rn, 2
	case op&0x1f800000 == 0x12800000: // MOVN, MOVZ, MOVK
		v, sh := int64(op>>5&0xffff), uint8(op>>21&3*16)
		switch op >> 29 & 3 {
		case 0:
			in.Kind, in.Dst, in.Imm = Const, rd, ^(v << sh)
			if op>>31 == 0 {
				in.Imm = int64(uint32(in.Imm))
			}
		case 2:
			in.Kind, in.Dst, in.Imm = Const, rd, v<<sh
		case 3:
			in.Kind, in.Dst, in.Imm, in.Shift = High, rd, v, sh
		}
	case op&0x7fe0ffe0 == 0x2a0003e0: // MOV reg
		in.Kind, in.Dst, in.Src = Move, rd, uint8(op>>16&31)
		if in.Src == 31 {
			in.Kind, in.Imm, in.Src = Const, 0, NoReg
		}
	case op&0x7f8003e0 == 0x320003e0: // MOV bitmask
		v, ok := bitmask(op>>22&1, op>>10&63, op>>16&63, op>>31 != 0)
		in.Kind, in.Dst, in.Imm = Const, rd, int64(v)
		if !ok {
			in.Kind, in.Dst, in.Clobbers = Other, NoReg, mask(rd)
		}
	default:
		return false
	}
	return true
}

// memoryA64 decodes loads and stores, and reports whether op is one.
func (in *Inst) memoryA64(op uint32, pos int64) bool {
	rd, rn := uint8(op&31), uint8(op>>5&31)
	imm12 := int64(op >> 10 & 0xfff)
	switch {
	case op&0xbf000000 == 0x18000000: // LDR literal
		in.Kind, in.Dst, in.Target = LoadPC, rd, pos+signExtend(uint64(op>>5&0x7ffff), 19)*4
		in.Size = 4 << (op >> 30 & 1)
	case op&0xbfc00000 == 0xb9400000: // LDR
		in.Size = 4 << (op >> 30 & 1)
		in.Kind, in.Dst, in.Src, in.Imm = Load, rd, rn, imm12*int64(in.Size)
	case op&0xbfc00000 == 0xb9000000: // STR
		in.Size = 4 << (op >> 30 & 1)
		in.Kind, in.Src, in.Dst, in.Imm = Store, rd, rn, imm12*int64(in.Size)
	case op&0x0a000000 == 0x08000000: // other loads and stores
		pair := op&0x3a000000 == 0x28000000
		vector := op&(1<<26) != 0
		load := op>>22&3 != 0
		if load && !vector {
			in.Clobbers |= mask(rd)
			if pair {
				in.Clobbers |= mask(uint8(op >> 10 & 31))
			}
		}
		if pair && op>>23&1 != 0 || !pair && op&0x3b200400 == 0x38000400 {
			in.Clobbers |= mask(rn) // write back
		}
		if !pair && op&0x3f000000 == 0x08000000 { // exclusives
			in.Clobbers |= mask(rd, uint8(op>>16&31), uint8(op>>10&31))
		}
		if rn == 31 && pair && op>>23&1 != 0 {
			// stp x29, x30, [sp, #-n]!: the stack pointer moves, that is all
			in.Clobbers = in.Clobbers | 1<<31
		} else {
			in.Clobbers &^= 1 << 31
		}
	default:
		return false
	}
	return true
}

// bitmask is DecodeBitMasks.
func bitmask(n, imms, immr uint32, is64 bool) (uint64, bool) {
	length := bits.Len32(n<<6|^imms&63) - 1
	if length < 1 || !is64 && n != 0 {
		return 0, false
	}
	size := uint(1) << length
	levels := uint32(size - 1)
	s, r := imms&levels, immr&levels
	if s == levels {
		return 0, false
	}
	welem := uint64(1)<<(s+1) - 1
	if r != 0 {
		welem = welem>>r | welem<<(size-uint(r))
		if size < 64 {
			welem &= 1<<size - 1
		}
	}
	v := welem
	for w := size; w < 64; w *= 2 {
		v |= v << w
	}
	if !is64 {
		v &= 0xffffffff
	}
	return v, true
}
