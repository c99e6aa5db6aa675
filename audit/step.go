// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"debug/elf"

	"safeload/audit/internal/isa"
)

// site is an instruction where it stands.
type site struct {
	isa.Inst
	pos, end int64 // of the instruction, and of the function
	target   place // what its address is, after relocation
	reloc    bool  // target comes from a relocation
}

// step does one instruction and reports whether the next one follows it.
func (f *flow) step(in isa.Inst, pos, end int64, r reloc, hasReloc bool) bool {
	if in.Table && !f.inlineTable(pos, end) {
		f.tableJump()
	}
	if in.Cond && in.Kind != isa.CondJump {
		if holds, known := f.decided(in, pos); known && !holds {
			return true
		} else if known {
			in.Cond = false
		}
	}
	if !keepsFlags(f.im, in) {
		f.noFlags()
	}
	at := &site{in, pos, end, place{sec: f.sec, off: in.Target}, hasReloc}
	if hasReloc {
		at.target = f.im.relocated(in, pos, r)
	}
	follows := f.do(at)
	for m, i := in.Clobbers, uint8(0); m != 0 && i < 32; m, i = m>>1, i+1 {
		if m&1 != 0 {
			f.set(i, value{}, false)
		}
	}
	return follows
}

// relocated is the place that an instruction names by a relocation.
func (im *image) relocated(in isa.Inst, pos int64, r reloc) place {
	switch im.machine {
	case elf.EM_ARM:
		if im.isBranch(r.typ) {
			return im.resolve(r.sym, in.Target-pos)
		}
	case elf.EM_X86_64:
		switch elf.R_X86_64(r.typ) {
		case elf.R_X86_64_PC32, elf.R_X86_64_PLT32, elf.R_X86_64_GOTPCREL, elf.R_X86_64_GOTPCRELX, elf.R_X86_64_REX_GOTPCRELX:
			return im.resolve(r.sym, r.addend+pos+int64(in.Len)-int64(r.off))
		}
	}
	return im.resolve(r.sym, r.addend)
}

// do does what an instruction does, its clobbers aside.
func (f *flow) do(at *site) (follows bool) {
	switch at.Kind {
	case isa.Return:
		f.leave()
		return false
	case isa.Compare:
		f.compare(at)
	case isa.Call:
		f.call(at.target, at.Cond)
	case isa.CallReg:
		f.clobberCall()
	case isa.Jump, isa.CondJump:
		return f.jump(at)
	case isa.Const:
		f.set(at.Dst, f.constant(at), at.Cond)
	case isa.High:
		f.setHigh(at)
	case isa.Move:
		f.set(at.Dst, narrowed(f.get(at.Src), at.Size), at.Cond)
	case isa.Add:
		f.set(at.Dst, f.sum(at), at.Cond)
	case isa.PCRel:
		v := f.formed(at.target)
		if !at.reloc && f.im.arch == isa.ARM64 {
			v = value{}
		}
		f.set(at.Dst, v, at.Cond)
	case isa.LoadPC:
		f.set(at.Dst, f.memory(at.target, at.Size), at.Cond)
	case isa.Load:
		f.set(at.Dst, f.loaded(at), at.Cond)
	case isa.Store, isa.StoreConst:
		f.store(at)
	}
	return true
}

func (f *flow) compare(at *site) {
	f.equal = equality{at.Size >= 4, at.Src, at.Imm}
	if v := f.get(at.Src); v.kind == given {
		f.flags = flags{true, at.Src, v.off, at.Imm, at.Size}
	} else {
		f.tested = argumentTest(v, at.Imm, at.Size)
	}
}

// jump follows a jump, and reports whether it may not be taken. On each of the
// two ways the condition that leads there holds.
func (f *flow) jump(at *site) (follows bool) {
	taken, known := at.Kind == isa.Jump, at.Kind == isa.Jump
	if !known {
		taken, known = f.decided(at.Inst, at.pos)
	}
	if known && !taken {
		return true
	}
	c := f.tested
	if at.Zero {
		c = argumentTest(f.get(at.Src), 0, at.Size)
	}
	before := f.when
	f.im.spend(8 * len(before))
	conditional := !known && c.arg < maxArgs && at.CC < 14
	if conditional {
		c.cc = at.CC
		f.when = append(before[:len(before):len(before)], c)
	}
	e := f.equal
	if at.Zero {
		e = equality{at.Size >= 4, at.Src, 0}
	}
	e.known = e.known && !known && at.CC <= 1 && (f.get(e.reg).kind == unknown || f.get(e.reg).kind == contents)
	if e.known && at.CC == 0 {
		f.regs[e.reg] = value{kind: constant, off: e.imm}
	}
	if at.target.sec == f.sec && at.target.off >= f.first && at.target.off < at.end {
		f.branchTo(at.target.off, at.pos)
	} else {
		regs, locks := f.regs, f.locks
		f.call(at.target, false)
		f.leave()
		f.regs, f.locks = regs, locks
	}
	if e.known {
		f.regs[e.reg] = value{}
		if at.CC == 1 {
			f.regs[e.reg] = value{kind: constant, off: e.imm}
		}
	}
	if conditional {
		c.cc ^= 1 // A32's conditions come in pairs
		f.when = append(before[:len(before):len(before)], c)
	}
	return !known
}

func (f *flow) constant(at *site) value {
	if at.reloc {
		return f.formed(at.target)
	}
	return value{kind: constant, off: at.Imm}
}

// setHigh sets the upper part of a register whose lower part was set before.
func (f *flow) setHigh(at *site) {
	old := f.get(at.Dst)
	switch {
	case at.reloc:
		if old.kind != address || old.sec != at.target.sec || old.sym != at.target.sym {
			old = f.formed(at.target)
		}
		f.set(at.Dst, old, false)
	case old.kind == constant, old.kind == given:
		old.kind = constant
		old.off = old.off&^(0xffff<<at.Shift) | at.Imm<<at.Shift
		f.set(at.Dst, old, at.Cond)
	default:
		f.set(at.Dst, value{}, at.Cond)
	}
}

// narrowed is the lowest size bytes of a value.
func narrowed(v value, size uint8) value {
	switch {
	case size >= 4:
	case v.kind == argument && (v.sec == 0 || v.sec >= int32(size)):
		v.sec = int32(size)
	case v.kind != constant && v.kind != given || v.off < 0 || v.off >= 1<<(8*size):
		v = value{}
	}
	return v
}

// sum is a register's value plus a number.
func (f *flow) sum(at *site) value {
	v := f.get(at.Src)
	switch {
	case at.reloc:
		return f.formed(at.target)
	case v.kind == argument && at.Imm != 0:
		return value{kind: derived, off: v.off}
	case v.kind == given:
		return value{kind: constant, off: v.off + at.Imm}
	case v.kind == constant, v.kind == address, v.kind == stack:
		v.off += at.Imm
		return v
	case v.kind == argument, v.kind == derived:
		return v
	}
	return value{}
}

// loaded is the value at an address that a register has.
func (f *flow) loaded(at *site) value {
	base := f.get(at.Src)
	switch {
	case at.reloc && f.im.arch == isa.ARM64:
		return f.memory(at.target, at.Size)
	case at.reloc:
	case base.kind == address:
		base.off += at.Imm
		return f.memory(base.place(), at.Size)
	case base.kind == argument, base.kind == derived:
		return value{kind: derived, off: base.off}
	case base.kind == stack:
		return f.slots[[2]int64{int64(base.sec), base.off + at.Imm}]
	}
	return value{}
}

// store notes what is put on the stack; other memory is not followed.
func (f *flow) store(at *site) {
	base := f.get(at.Dst)
	if base.kind != stack || at.reloc && at.Kind != isa.StoreConst {
		return
	}
	v := f.get(at.Src)
	if at.Kind == isa.StoreConst {
		if v = (value{kind: constant, off: at.Value}); at.reloc {
			v = f.formed(at.target)
		}
	}
	f.im.spend(4)
	f.slots[[2]int64{int64(base.sec), base.off + at.Imm}] = v
}

// keepsFlags reports whether an instruction surely leaves the flags alone.
func keepsFlags(im *image, in isa.Inst) bool {
	switch in.Kind {
	case isa.CondJump, isa.Jump, isa.Store, isa.StoreConst, isa.Load, isa.LoadPC:
		return true
	case isa.Call, isa.CallReg, isa.Compare:
		return false
	}
	if im.machine == elf.EM_X86_64 {
		return in.Kind == isa.Move || in.Kind == isa.PCRel
	}
	return !in.Flags
}

// formed is the value of an address that code makes, noted if it may be a name.
func (f *flow) formed(p place) value {
	if p.sec != 0 && !f.im.secs[p.sec].code() && len(f.fn.strings) < 256 {
		f.fn.strings = append(f.fn.strings, p)
	}
	return addressOf(p)
}

// memory is the value that a place holds when the module is loaded. What code
// may write is unknown, save for pointers: those that are set at build time
// mostly stay.
func (f *flow) memory(p place, size uint8) value {
	im := f.im
	content := value{}
	if int64(size) == im.word() {
		content = value{contents, p.sec, p.sym, p.off}
	}
	if p.sec == 0 {
		return content
	}
	if name, ok := im.param(p.sec, p.off); ok && name != "" {
		return value{kind: parameter, sec: p.sec, off: p.off}
	}
	if q, ok := im.pointer(p.sec, p.off); ok {
		if q.sec != 0 && !im.secs[q.sec].code() {
			return f.formed(q)
		}
		return addressOf(q)
	}
	s := &im.secs[p.sec]
	b := im.bytesAt(p)
	if s.flags&elf.SHF_WRITE != 0 {
		return content
	}
	if len(b) < int(size) {
		return value{}
	}
	switch size {
	case 4:
		return value{kind: constant, off: int64(im.order.Uint32(b))}
	case 8:
		return value{kind: constant, off: int64(im.order.Uint64(b))}
	}
	return value{}
}
