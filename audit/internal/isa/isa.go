// SPDX-License-Identifier: Apache-2.0

// Package isa decodes the few instructions that a study of a module's calls
// needs: branches, calls, and what moves constants and addresses between
// registers, to memory and back. Whatever else an instruction does is told only
// as the registers that it leaves unknown.
//
// Three instruction sets have a fixed width or nearly so and are decoded here
// (A32, T32, A64); amd64 goes through golang.org/x/arch.
package isa

// Kind says what an instruction does, as far as it matters here.
type Kind uint8

// Kinds of instructions.
const (
	// Other only leaves the registers of Clobbers unknown.
	Other Kind = iota
	// Call a function at Target.
	Call
	// CallReg calls through a register or memory.
	CallReg
	// Jump to Target, always.
	Jump
	// CondJump may jump to Target.
	CondJump
	// Return, or a jump that cannot be followed: nothing falls through.
	Return
	// Const sets Dst to Imm.
	Const
	// High sets the upper half of Dst to Imm (MOVT, or the piece of a MOVK at
	// bit Shift).
	High
	// Move sets Dst to the lowest Size bytes of Src.
	Move
	// Compare sets the flags from the lowest Size bytes of Src less Imm.
	Compare
	// Add sets Dst to Src plus Imm.
	Add
	// PCRel sets Dst to the address Target.
	PCRel
	// Load sets Dst to the Size bytes at Src plus Imm.
	Load
	// LoadPC sets Dst to the Size bytes at Target.
	LoadPC
	// Store puts Src into the Size bytes at Dst plus Imm.
	Store
	// StoreConst puts Value into the Size bytes at Dst plus Imm.
	StoreConst
)

// CCUnknown is a condition that is not decoded.
const CCUnknown = 15

// Holds reports whether a condition holds after comparing a with b, numbers of
// so many bytes.
func Holds(cc uint8, a, b int64, size uint8) (holds, known bool) {
	shift := 64 - 8*uint(size)
	if size == 0 || size > 8 {
		return false, false
	}
	ua, ub := uint64(a)<<shift, uint64(b)<<shift
	sa, sb := int64(ua), int64(ub)
	switch cc {
	case 0:
		return ua == ub, true
	case 1:
		return ua != ub, true
	case 2:
		return ua >= ub, true
	case 3:
		return ua < ub, true
	case 8:
		return ua > ub, true
	case 9:
		return ua <= ub, true
	case 10:
		return sa >= sb, true
	case 11:
		return sa < sb, true
	case 12:
		return sa > sb, true
	case 13:
		return sa <= sb, true
	}
	return false, false
}

// NoReg is the number of no register.
const NoReg = 63

// Inst is one decoded instruction. Offsets are from the start of the section.
type Inst struct {
	Kind Kind
	// Len of the instruction in bytes.
	Len int
	// Dst and Src are registers, NoReg if there are none.
	Dst, Src uint8
	Size     uint8
	Shift    uint8
	// Cond is true if the instruction may be passed over (A32, IT blocks).
	Cond bool
	// CC is the condition of a CondJump or of a Cond instruction, as A32
	// encodes it, CCUnknown if it is of another kind.
	CC uint8
	// Zero is true if a CondJump compares Src with zero by itself.
	Zero bool
	// Flags is true unless the instruction surely leaves the flags alone.
	Flags bool
	// Table is true for a Return that may be a jump through a table.
	Table bool
	Imm   int64
	// Value stored by a StoreConst.
	Value int64
	// Target of a branch or of a PC-relative address.
	Target int64
	// Clobbers has bit r set if register r holds something unknown afterwards,
	// Dst not counted.
	Clobbers uint64
}

// Arch describes an instruction set and its procedure call standard.
type Arch struct {
	Name string
	// Decode one instruction of code at offset pos. thumb only matters to ARM.
	// The state carries the IT block of T32 from one instruction to the next.
	Decode func(code []byte, pos int64, st *State) (Inst, bool)
	// Args are the registers of the arguments, SP the stack pointer.
	Args []uint8
	SP   uint8
	Ret  uint8
	// CallerSaved are unknown after a call.
	CallerSaved uint64
	// StackArgs: arguments beyond the registers lie at SP+0, SP+Word, … at the
	// call.
	Word int
}

// State is what a decoder must remember between instructions.
type State struct {
	Thumb bool
	it    uint8
}

func mask(regs ...uint8) (m uint64) {
	for _, r := range regs {
		if r < 64 {
			m |= 1 << r
		}
	}
	return
}

// The instruction sets known.
var (
	ARM = &Arch{Name: "arm", Decode: decodeARM, Args: []uint8{0, 1, 2, 3}, SP: 13, Ret: 0,
		CallerSaved: mask(0, 1, 2, 3, 12, 14), Word: 4}
	ARM64 = &Arch{Name: "arm64", Decode: decodeARM64, Args: []uint8{0, 1, 2, 3, 4, 5, 6, 7}, SP: 31, Ret: 0,
		CallerSaved: 1<<19 - 1 | 1<<30, Word: 8}
	// AMD64 numbers its registers as the instruction set does: rax 0, rcx 1,
	// rdx 2, rbx 3, rsp 4, rbp 5, rsi 6, rdi 7, r8 to r15.
	AMD64 = &Arch{Name: "amd64", Decode: decodeAMD64, Args: []uint8{7, 6, 2, 1, 8, 9}, SP: 4, Ret: 0,
		CallerSaved: mask(0, 1, 2, 6, 7, 8, 9, 10, 11), Word: 8}
)

func signExtend(v uint64, bits uint) int64 {
	return int64(v<<(64-bits)) >> (64 - bits)
}
