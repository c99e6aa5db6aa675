// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"debug/elf"
	"sort"
)

// Where ways part and meet: what waits to be gone, and with what is known there.

// gone reports whether the code at pos was gone through.
func (f *flow) gone(pos int64) bool {
	i := pos - f.first
	return i >= 0 && i < int64(len(f.visited)) && f.visited[i]
}

func (f *flow) went(from, to int64) {
	f.im.spend(int(max(0, to-from) / 16))
	for i := max(0, from-f.first); i < min(to-f.first, int64(len(f.visited))); i++ {
		f.visited[i] = true
	}
}

// inlineTable follows the addresses behind a jump of A32 through a table,
// "ldrls pc, [pc, rN, lsl #2]; b default; .word …", if that is what it is.
func (f *flow) inlineTable(pos, end int64) (ok bool) {
	if f.im.machine != elf.EM_ARM {
		return false
	}
	for at := pos + 8; at < end; at += 4 {
		f.im.spend(1)
		p, is := f.im.pointer(f.sec, at)
		if !is || p.sec != f.sec || p.off < f.first || p.off >= end {
			break
		}
		f.branchTo(p.off, pos)
		ok = true
	}
	return ok
}

// tableJump notes what is known at a jump through a table. Where several agree
// on nothing, an argument that the first one still has is kept: the switch that
// a function begins with is mostly the one that matters.
func (f *flow) tableJump() {
	if f.table == nil {
		c := f.regs
		f.table = &c
		return
	}
	for i, v := range f.table {
		if v != f.regs[i] && v.kind != argument && v.kind != derived {
			f.table[i] = value{}
		}
	}
}

// label tells where a jump label at pos leads.
func (f *flow) label(pos, end int64) (to int64, ok bool) {
	if len(f.labels) == 0 {
		return 0, false
	}
	i := sort.Search(len(f.labels), func(i int) bool { return f.labels[i].from >= pos })
	if i == len(f.labels) || f.labels[i].from != pos {
		return 0, false
	}
	to = f.labels[i].to
	return to, to > f.first && to < end
}

// again is told that code from to is reached once more from at, later in the
// function or in another state. A way left out on account of a register that
// now holds something else may be taken after all.
func (f *flow) again(at, to int64) {
	f.im.spend(len(f.prunes))
	for _, p := range f.prunes {
		if p.pos >= to && p.pos <= max(at, to) && f.get(p.reg) != p.val {
			f.undone = true
		}
	}
}

func (f *flow) meet(p *registers) {
	for i := range f.regs {
		if f.regs[i] != p[i] {
			f.regs[i] = value{}
		}
	}
}

func (f *flow) branchTo(target, pos int64) {
	if f.gone(target) {
		f.again(pos, target)
		f.loose = f.loose || len(f.when) == 0 || target > pos
		return
	}
	if p := f.pending[target]; p != nil {
		f.whens[target] = f.both(f.whens[target], f.when)
		f.setLocks(target, f.meetLocks(f.lockeds[target], f.locks))
		for i := range p {
			if p[i] != f.regs[i] {
				p[i] = value{}
			}
		}
		return
	}
	if len(f.pending) > maxPending {
		panic(ErrTooLarge)
	}
	c := f.regs
	f.pending[target] = &c
	f.whens[target] = f.when
	f.setLocks(target, f.locks)
}

// maxPending is how many ways may wait to be gone, each with its registers.
const maxPending = 1 << 17
