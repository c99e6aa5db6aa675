// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	"safeload/audit/internal/isa"
)

// valueKind says what is known of a register's content.
type valueKind uint8

const (
	unknown   valueKind = iota
	constant            // off
	given               // off, from the caller and not changed since: a way may depend on it
	address             // at: a place in the module or an import
	argument            // the function's argument number off; its lowest sec bytes if sec is not 0
	derived             // something reached through argument number off
	stack               // off from the stack pointer's value number sec
	parameter           // the value of the module parameter whose variable is at sec, off
	contents            // of the pointer variable at a place
	gotten              // the address of what is exported by the name at sec, off (symbol_get)
)

// value is what is known of a register, a stack slot or an argument.
type value struct {
	kind valueKind
	sec  int32
	sym  int32
	off  int64
}

func (v value) place() place { return place{v.sec, v.sym, v.off} }

func addressOf(p place) value { return value{address, p.sec, p.sym, p.off} }

// condition says how an argument, its lowest narrow bytes if that is not 0,
// compares with imm.
type condition struct {
	arg, cc, size, narrow uint8
	imm                   int64
}

// fails reports whether the condition does not hold for a number.
func (c condition) fails(n int64) bool {
	if c.narrow > 0 && c.narrow < 8 {
		n &= 1<<(8*c.narrow) - 1
	}
	holds, known := isa.Holds(c.cc, n, c.imm, c.size)
	return known && !holds
}

type registers [32]value

func (f *flow) freshStack() value {
	f.stacks++
	return value{kind: stack, sec: f.stacks}
}

// noCondition is no comparison with an argument.
var noCondition = condition{arg: maxArgs}

// both are the conditions that hold on two ways.
func (f *flow) both(a, b []condition) (out []condition) {
	f.im.spend(len(a) * (len(b) + 1))
	for _, c := range a {
		if slices.Contains(b, c) {
			out = append(out, c)
		}
	}
	return out
}

// argumentTest is the comparison of an argument with a number, if v is one.
func argumentTest(v value, imm int64, size uint8) condition {
	if v.kind != argument || v.off < 0 || v.off >= maxArgs {
		return noCondition
	}
	return condition{arg: uint8(v.off), size: size, narrow: uint8(v.sec), imm: imm}
}

// set gives register r a value. An instruction that may be passed over leaves
// nothing sure unless both ways agree.
func (f *flow) set(r uint8, v value, cond bool) {
	if int(r) >= len(f.regs) || r == 31 && f.im.arch == isa.ARM64 && v.kind != stack && f.regs[31].kind == stack {
		return
	}
	if r == f.im.arch.SP && v.kind != stack {
		v = f.freshStack()
	}
	if cond && f.regs[r] != v {
		v = value{}
	}
	if r == f.equal.reg {
		f.equal.known = false
	}
	f.regs[r] = v
}

func (f *flow) get(r uint8) value {
	if int(r) < len(f.regs) {
		return f.regs[r]
	}
	return value{}
}
