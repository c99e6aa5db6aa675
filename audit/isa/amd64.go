// SPDX-License-Identifier: Apache-2.0

package isa

import "golang.org/x/arch/x86/x86asm"

// regNumber gives the number of a general register of any width, as the
// instruction set numbers them.
func regNumber(r x86asm.Reg) uint8 {
	switch {
	case r >= x86asm.AL && r <= x86asm.BL:
		return uint8(r - x86asm.AL)
	case r >= x86asm.AH && r <= x86asm.BH:
		return uint8(r - x86asm.AH)
	case r >= x86asm.SPB && r <= x86asm.R15B:
		return uint8(r-x86asm.SPB) + 4
	case r >= x86asm.AX && r <= x86asm.R15W:
		return uint8(r - x86asm.AX)
	case r >= x86asm.EAX && r <= x86asm.R15L:
		return uint8(r - x86asm.EAX)
	case r >= x86asm.RAX && r <= x86asm.R15:
		return uint8(r - x86asm.RAX)
	}
	return NoReg
}

// wide reports whether writing r sets the whole register.
func wide(r x86asm.Reg) bool { return r >= x86asm.EAX && r <= x86asm.R15 }

// low reports whether r is the lowest part of its register.
func low(r x86asm.Reg) bool {
	return regNumber(r) != NoReg && (r < x86asm.AH || r > x86asm.BH)
}

// width of a register in bytes, 0 if it is no general one's lowest part.
func width(r x86asm.Reg) uint8 {
	switch {
	case !low(r):
		return 0
	case r < x86asm.AX:
		return 1
	case r < x86asm.EAX:
		return 2
	case r < x86asm.RAX:
		return 4
	}
	return 8
}

// conditions in A32's numbers.
var conditions = map[x86asm.Op]uint8{
	x86asm.JE: 0, x86asm.JNE: 1, x86asm.JAE: 2, x86asm.JB: 3, x86asm.JA: 8, x86asm.JBE: 9,
	x86asm.JGE: 10, x86asm.JL: 11, x86asm.JG: 12, x86asm.JLE: 13,
}

// simple reports whether m is base plus displacement, or PC-relative.
func simple(m x86asm.Mem) bool { return m.Index == 0 && m.Segment == 0 && m.Base != 0 }

func decodeAMD64(code []byte, pos int64, _ *State) (Inst, bool) {
	if pos < 0 || pos >= int64(len(code)) {
		return Inst{}, false
	}
	c := code[pos:]
	in := Inst{Dst: NoReg, Src: NoReg, Size: 8, CC: CCUnknown}
	if len(c) >= 4 && c[0] == 0xf3 && c[1] == 0x0f && c[2] == 0x1e && c[3] == 0xfa { // ENDBR64
		in.Len = 4
		return in, true
	}
	if len(c) > 16 {
		c = c[:16]
	}
	x, err := x86asm.Decode(c, 64)
	if err != nil || x.Len <= 0 {
		return Inst{}, false
	}
	in.Len = x.Len
	end := pos + int64(x.Len)
	rel, isRel := x.Args[0].(x86asm.Rel)
	dst, dstReg := x.Args[0].(x86asm.Reg)
	src, srcReg := x.Args[1].(x86asm.Reg)
	dstMem, toMem := x.Args[0].(x86asm.Mem)
	srcMem, fromMem := x.Args[1].(x86asm.Mem)
	imm, isImm := x.Args[1].(x86asm.Imm)
	d := NoReg + uint8(0)
	if dstReg {
		d = regNumber(dst)
	}
	switch x.Op {
	case x86asm.CALL:
		in.Kind = CallReg
		if isRel {
			in.Kind, in.Target = Call, end+int64(rel)
		}
		return in, true
	case x86asm.JMP:
		in.Kind, in.Table = Return, true
		if isRel {
			in.Kind, in.Table, in.Target = Jump, false, end+int64(rel)
		}
		return in, true
	case x86asm.RET, x86asm.LRET, x86asm.UD2, x86asm.IRETQ, x86asm.SYSRET:
		in.Kind = Return
		return in, true
	case x86asm.CMP, x86asm.TEST:
		switch {
		case x.Op == x86asm.CMP && d != NoReg && isImm:
			in.Kind, in.Src, in.Imm, in.Size = Compare, d, int64(imm), width(dst)
		case x.Op == x86asm.TEST && d != NoReg && srcReg && src == dst:
			in.Kind, in.Src, in.Imm, in.Size = Compare, d, 0, width(dst)
		}
		return in, true
	case x86asm.NOP, x86asm.PREFETCHT0, x86asm.PREFETCHW, x86asm.BT:
		return in, true
	case x86asm.PUSH:
		in.Clobbers = mask(4)
		return in, true
	case x86asm.POP:
		in.Clobbers = mask(4, d)
		return in, true
	}
	if isRel {
		in.Kind, in.Target = CondJump, end+int64(rel)
		if cc, ok := conditions[x.Op]; ok {
			in.CC = cc
		}
		if x.Op == x86asm.LOOP || x.Op == x86asm.LOOPE || x.Op == x86asm.LOOPNE {
			in.Clobbers = mask(1)
		}
		return in, true
	}
	switch {
	case x.Op == x86asm.LEA && dstReg && wide(dst) && fromMem && simple(srcMem):
		in.Dst = d
		if srcMem.Base == x86asm.RIP {
			in.Kind, in.Target = PCRel, end+srcMem.Disp
		} else {
			in.Kind, in.Src, in.Imm = Add, regNumber(srcMem.Base), srcMem.Disp
		}
		return in, true
	case (x.Op == x86asm.MOV || x.Op == x86asm.MOVSXD) && dstReg && wide(dst):
		in.Dst = d
		switch {
		case srcReg && regNumber(src) != NoReg:
			in.Kind, in.Src, in.Size = Move, regNumber(src), max(4, width(src))
			if dst >= x86asm.RAX && x.Op == x86asm.MOV {
				in.Size = 8
			}
			return in, true
		case isImm:
			in.Kind, in.Imm = Const, int64(imm)
			if dst < x86asm.RAX {
				in.Imm = int64(uint32(imm))
			}
			return in, true
		case fromMem && simple(srcMem):
			in.Size = uint8(x.MemBytes)
			if srcMem.Base == x86asm.RIP {
				in.Kind, in.Target = LoadPC, end+srcMem.Disp
			} else {
				in.Kind, in.Src, in.Imm = Load, regNumber(srcMem.Base), srcMem.Disp
			}
			return in, true
		}
	case x.Op == x86asm.MOV && toMem:
		if simple(dstMem) && dstMem.Base != x86asm.RIP && x.MemBytes >= 4 {
			in.Dst, in.Imm, in.Size = regNumber(dstMem.Base), dstMem.Disp, uint8(x.MemBytes)
			if srcReg && regNumber(src) != NoReg {
				in.Kind, in.Src = Store, regNumber(src)
			} else if isImm {
				in.Kind, in.Value = StoreConst, int64(imm)
			}
		}
		return in, true
	case x.Op == x86asm.MOVZX && dstReg && wide(dst) && srcReg && low(src):
		in.Kind, in.Dst, in.Src, in.Size = Move, d, regNumber(src), width(src)
		return in, true
	case x.Op == x86asm.XOR && dstReg && srcReg && dst == src && wide(dst):
		in.Kind, in.Dst, in.Imm = Const, d, 0
		return in, true
	case x.Op == x86asm.OR && dstReg && wide(dst) && isImm && int64(imm) == -1:
		in.Kind, in.Dst, in.Imm = Const, d, -1
		return in, true
	case (x.Op == x86asm.ADD || x.Op == x86asm.SUB) && dstReg && wide(dst) && isImm:
		in.Kind, in.Dst, in.Src, in.Imm = Add, d, d, int64(imm)
		if x.Op == x86asm.SUB {
			in.Imm = -in.Imm
		}
		return in, true
	}
	in.Dst, in.Src = NoReg, NoReg
	if dstReg && d != NoReg {
		in.Clobbers = mask(d)
	}
	switch x.Op {
	case x86asm.MUL, x86asm.IMUL, x86asm.DIV, x86asm.IDIV, x86asm.CDQ, x86asm.CQO, x86asm.RDTSC, x86asm.RDMSR:
		in.Clobbers |= mask(0, 2)
	case x86asm.CPUID:
		in.Clobbers |= mask(0, 1, 2, 3)
	case x86asm.MOVSB, x86asm.MOVSW, x86asm.MOVSQ, x86asm.STOSB, x86asm.STOSW, x86asm.STOSD, x86asm.STOSQ,
		x86asm.CMPSB, x86asm.SCASB, x86asm.LODSB:
		in.Clobbers |= mask(0, 1, 6, 7)
	case x86asm.XCHG, x86asm.XADD:
		if srcReg {
			in.Clobbers |= mask(regNumber(src))
		}
	case x86asm.CMPXCHG, x86asm.CMPXCHG8B, x86asm.CMPXCHG16B:
		in.Clobbers |= mask(0, 2)
	case x86asm.LEAVE:
		in.Clobbers |= mask(4, 5)
	}
	return in, true
}
