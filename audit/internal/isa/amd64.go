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

// operands are what an instruction of amd64 works on, where it is something
// that matters here.
type operands struct {
	op               x86asm.Op
	end              int64 // of the instruction
	bytes            uint8 // of memory
	dst, src         x86asm.Reg
	dstReg, srcReg   bool
	d                uint8 // number of dst, NoReg if it is no general register
	dstMem, srcMem   x86asm.Mem
	toMem, fromMem   bool
	rel, imm         int64
	isRel, immediate bool
}

func operandsOf(x *x86asm.Inst, end int64) *operands {
	o := &operands{op: x.Op, end: end, bytes: uint8(x.MemBytes), d: NoReg}
	o.dst, o.dstReg = x.Args[0].(x86asm.Reg)
	o.src, o.srcReg = x.Args[1].(x86asm.Reg)
	o.dstMem, o.toMem = x.Args[0].(x86asm.Mem)
	o.srcMem, o.fromMem = x.Args[1].(x86asm.Mem)
	if rel, ok := x.Args[0].(x86asm.Rel); ok {
		o.rel, o.isRel = int64(rel), true
	}
	if imm, ok := x.Args[1].(x86asm.Imm); ok {
		o.imm, o.immediate = int64(imm), true
	}
	if o.dstReg {
		o.d = regNumber(o.dst)
	}
	return o
}

// toWide reports whether the whole of a register is written.
func (o *operands) toWide() bool { return o.dstReg && wide(o.dst) }

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
	o := operandsOf(&x, pos+int64(x.Len))
	switch {
	case in.branchAMD64(o), in.leaveAlone(o), in.moveAMD64(o), in.addAMD64(o):
	default:
		in.clobberAMD64(o)
	}
	return in, true
}

// branchAMD64 decodes branches and what ends a function, and reports whether o
// is one.
func (in *Inst) branchAMD64(o *operands) bool {
	switch o.op {
	case x86asm.CALL:
		in.Kind = CallReg
		if o.isRel {
			in.Kind, in.Target = Call, o.end+o.rel
		}
	case x86asm.JMP:
		in.Kind, in.Table = Return, true
		if o.isRel {
			in.Kind, in.Table, in.Target = Jump, false, o.end+o.rel
		}
	case x86asm.RET, x86asm.LRET, x86asm.UD2, x86asm.IRETQ, x86asm.SYSRET:
		in.Kind = Return
	default:
		if !o.isRel {
			return false
		}
		in.Kind, in.Target = CondJump, o.end+o.rel
		if cc, ok := conditions[o.op]; ok {
			in.CC = cc
		}
		if o.op == x86asm.LOOP || o.op == x86asm.LOOPE || o.op == x86asm.LOOPNE {
			in.Clobbers = mask(1)
		}
	}
	return true
}

// leaveAlone decodes what leaves all registers alone but the stack pointer, and
// reports whether o does.
func (in *Inst) leaveAlone(o *operands) bool {
	switch o.op {
	case x86asm.CMP, x86asm.TEST:
		switch {
		case o.op == x86asm.CMP && o.d != NoReg && o.immediate:
			in.Kind, in.Src, in.Imm, in.Size = Compare, o.d, o.imm, width(o.dst)
		case o.op == x86asm.TEST && o.d != NoReg && o.srcReg && o.src == o.dst:
			in.Kind, in.Src, in.Imm, in.Size = Compare, o.d, 0, width(o.dst)
		}
	case x86asm.NOP, x86asm.PREFETCHT0, x86asm.PREFETCHW, x86asm.BT:
	case x86asm.PUSH:
		in.Clobbers = mask(4)
	case x86asm.POP:
		in.Clobbers = mask(4, o.d)
	default:
		return false
	}
	return true
}

// moveAMD64 decodes what moves constants, addresses and registers, to memory
// and back, and reports whether o does.
func (in *Inst) moveAMD64(o *operands) bool {
	switch {
	case o.op == x86asm.LEA && o.toWide() && o.fromMem && simple(o.srcMem):
		in.Dst = o.d
		if o.srcMem.Base == x86asm.RIP {
			in.Kind, in.Target = PCRel, o.end+o.srcMem.Disp
		} else {
			in.Kind, in.Src, in.Imm = Add, regNumber(o.srcMem.Base), o.srcMem.Disp
		}
	case (o.op == x86asm.MOV || o.op == x86asm.MOVSXD) && o.toWide():
		return in.moveToWide(o)
	case o.op == x86asm.MOV && o.toMem:
		if simple(o.dstMem) && o.dstMem.Base != x86asm.RIP && o.bytes >= 4 {
			in.Dst, in.Imm, in.Size = regNumber(o.dstMem.Base), o.dstMem.Disp, o.bytes
			if o.srcReg && regNumber(o.src) != NoReg {
				in.Kind, in.Src = Store, regNumber(o.src)
			} else if o.immediate {
				in.Kind, in.Value = StoreConst, o.imm
			}
		}
	case o.op == x86asm.MOVZX && o.toWide() && o.srcReg && low(o.src):
		in.Kind, in.Dst, in.Src, in.Size = Move, o.d, regNumber(o.src), width(o.src)
	default:
		return false
	}
	return true
}

func (in *Inst) moveToWide(o *operands) bool {
	switch {
	case o.srcReg && regNumber(o.src) != NoReg:
		in.Kind, in.Src, in.Size = Move, regNumber(o.src), max(4, width(o.src))
		if o.dst >= x86asm.RAX && o.op == x86asm.MOV {
			in.Size = 8
		}
	case o.immediate:
		in.Kind, in.Imm = Const, o.imm
		if o.dst < x86asm.RAX {
			in.Imm = int64(uint32(o.imm))
		}
	case o.fromMem && simple(o.srcMem):
		in.Size = o.bytes
		if o.srcMem.Base == x86asm.RIP {
			in.Kind, in.Target = LoadPC, o.end+o.srcMem.Disp
		} else {
			in.Kind, in.Src, in.Imm = Load, regNumber(o.srcMem.Base), o.srcMem.Disp
		}
	default:
		return false
	}
	in.Dst = o.d
	return true
}

// addAMD64 decodes additions of numbers, and the ways in which compilers set a
// register to 0 and -1, and reports whether o is one.
func (in *Inst) addAMD64(o *operands) bool {
	switch {
	case !o.toWide():
		return false
	case o.op == x86asm.XOR && o.srcReg && o.dst == o.src:
		in.Kind, in.Dst, in.Imm = Const, o.d, 0
	case o.op == x86asm.OR && o.immediate && o.imm == -1:
		in.Kind, in.Dst, in.Imm = Const, o.d, -1
	case (o.op == x86asm.ADD || o.op == x86asm.SUB) && o.immediate:
		in.Kind, in.Dst, in.Src, in.Imm = Add, o.d, o.d, o.imm
		if o.op == x86asm.SUB {
			in.Imm = -in.Imm
		}
	default:
		return false
	}
	return true
}

// implicit are the registers that an instruction changes without naming them,
// by their numbers.
var implicit = map[x86asm.Op]uint64{
	x86asm.MUL: mask(0, 2), x86asm.IMUL: mask(0, 2), x86asm.DIV: mask(0, 2), x86asm.IDIV: mask(0, 2),
	x86asm.CDQ: mask(0, 2), x86asm.CQO: mask(0, 2), x86asm.RDTSC: mask(0, 2), x86asm.RDMSR: mask(0, 2),
	x86asm.CPUID: mask(0, 1, 2, 3),
	x86asm.MOVSB: mask(0, 1, 6, 7), x86asm.MOVSW: mask(0, 1, 6, 7), x86asm.MOVSQ: mask(0, 1, 6, 7),
	x86asm.STOSB: mask(0, 1, 6, 7), x86asm.STOSW: mask(0, 1, 6, 7), x86asm.STOSD: mask(0, 1, 6, 7), x86asm.STOSQ: mask(0, 1, 6, 7),
	x86asm.CMPSB: mask(0, 1, 6, 7), x86asm.SCASB: mask(0, 1, 6, 7), x86asm.LODSB: mask(0, 1, 6, 7),
	x86asm.CMPXCHG: mask(0, 2), x86asm.CMPXCHG8B: mask(0, 2), x86asm.CMPXCHG16B: mask(0, 2),
	x86asm.LEAVE: mask(4, 5),
}

// clobberAMD64 tells which registers any other instruction may change.
func (in *Inst) clobberAMD64(o *operands) {
	in.Clobbers = implicit[o.op]
	if o.dstReg && o.d != NoReg {
		in.Clobbers |= mask(o.d)
	}
	if (o.op == x86asm.XCHG || o.op == x86asm.XADD) && o.srcReg {
		in.Clobbers |= mask(regNumber(o.src))
	}
}
