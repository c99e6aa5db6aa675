// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"debug/elf"

	"safeload/audit/internal/isa"
)

// maxArgs is how many arguments of a call are followed.
const maxArgs = 6

// call is one call that a function makes, a tail call included.
type call struct {
	target place
	args   [maxArgs]value
	// when are conditions on the function's arguments without which the call is
	// not made.
	when []condition
	// locks that the function has acquired and released before it.
	locks lockState
}

// function is what the code of one function tells.
type function struct {
	calls   []call
	strings []place // addresses of data that it forms: candidates for names
	lasts   lockState
}

// flow runs through the code of one function once, in the order of addresses,
// with what is known of the registers. Where ways meet, only what both agree on
// is kept; ways back (loops) are not followed, so that a register in a loop has
// the value of the first round: of an array that is walked, the first element.
type flow struct {
	im      *image
	sec     int32
	s       *section
	regs    registers
	pending map[int64]*registers
	when    []condition           // that hold here
	whens   map[int64][]condition // and at what is pending
	locks   lockState             // that are held here
	lockeds map[int64]lockState   // and at what is pending
	left    bool                  // a return was seen
	labels  []label               // jump labels of the function
	tested  condition             // what the flags compare, if arg is below maxArgs
	equal   equality              // and which register with what
	loose   bool                  // a way back leads to where less holds
	visited []bool                // by byte from first on
	prunes  []prune
	flags   flags
	first   int64
	table   *registers         // at the jumps through tables seen: what all agree on
	undone  bool               // a way was left out that a loop can take
	slots   map[[2]int64]value // of the stack, by pointer number and offset
	stacks  int32
	fn      *function
}

// flags are what is known of the last comparison.
type flags struct {
	known bool
	reg   uint8
	a, b  int64
	size  uint8
}

// equality is that a register is compared with a number: on one of the two ways
// that a jump then leads, it is that number.
type equality struct {
	known bool
	reg   uint8
	imm   int64
}

// prune is a way that was left out because of what a register held.
type prune struct {
	pos int64
	reg uint8
	val value
}

// analyse works out what a function does. Numbers that the caller is known to
// give decide the ways that depend on them.
func (im *image) analyse(sym int, numbers [maxArgs]value) *function {
	s := &im.syms[sym]
	fl := &flow{im: im, sec: int32(s.sec), s: &im.secs[s.sec], fn: &function{},
		pending: map[int64]*registers{}, slots: map[[2]int64]value{}, whens: map[int64][]condition{}, tested: noCondition}
	if im.arch == nil {
		return fl.fn
	}
	for i, r := range im.arch.Args {
		fl.regs[r] = value{kind: argument, off: int64(i)}
		if i < maxArgs && numbers[i].kind == given {
			fl.regs[r] = numbers[i]
		}
	}
	fl.regs[im.arch.SP] = value{kind: stack}
	start, end := im.extent(sym)
	fl.run(start, end, s.thumb)
	if fl.undone {
		return im.analyse(sym, [maxArgs]value{})
	}
	if fl.loose {
		for i := range fl.fn.calls {
			fl.fn.calls[i].when = nil
		}
	}
	return fl.fn
}

// decided reports whether a condition is known at pos, and holds. Only numbers
// from the caller decide: one that the function itself counts with has, here,
// the value of the first round only.
func (f *flow) decided(in isa.Inst, pos int64) (holds, known bool) {
	fl := f.flags
	if in.Zero {
		v := f.get(in.Src)
		if v.kind != given {
			return false, false
		}
		fl = flags{true, in.Src, v.off, 0, in.Size}
	}
	if !fl.known {
		return false, false
	}
	if holds, known = isa.Holds(in.CC, fl.a, fl.b, fl.size); known {
		f.im.spend(4)
		f.prunes = append(f.prunes, prune{pos, fl.reg, f.get(fl.reg)})
	}
	return holds, known
}

// mode returns whether ARM code at pos is T32, and the end of the literal pool
// if pos is in one.
func (im *image) mode(s *section, pos int64, thumb bool) (bool, int64) {
	lo, hi := 0, len(s.marks)
	for lo < hi {
		m := (lo + hi) / 2
		if int64(s.marks[m].off) <= pos {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo == 0 {
		return thumb, 0
	}
	switch s.marks[lo-1].kind {
	case 't':
		return true, 0
	case 'a':
		return false, 0
	case 'd':
		for i := lo; i < len(s.marks); i++ {
			im.spend(1)
			if s.marks[i].kind != 'd' {
				return thumb, int64(s.marks[i].off)
			}
		}
		return thumb, int64(len(s.data))
	}
	return thumb, 0
}

func (f *flow) run(start, end int64, thumb bool) {
	entry := f.regs
	f.first = start
	f.im.spend(int(max(0, end-start) / 16))
	f.visited = make([]bool, max(0, end-start))
	f.pending[start] = &entry
	for _, t := range f.im.entries(f.sec, start, end) {
		if f.pending[t] == nil {
			f.im.spend(64)
			f.pending[t] = f.nothing()
		}
	}
	f.labels = f.im.labelsIn(f.sec, start, end)
	for {
		pos := end
		f.im.spend(len(f.pending))
		for p := range f.pending {
			if f.gone(p) {
				delete(f.pending, p)
			} else if p < pos {
				pos = p
			}
		}
		if pos >= end {
			break
		}
		f.along(pos, end, thumb)
	}
	if f.table != nil { // its targets are all that is left
		for pos := start; pos < end; {
			f.im.spend(1)
			if f.gone(pos) {
				pos += f.step1(pos)
				continue
			}
			state := *f.table
			f.pending[pos] = &state
			f.along(pos, end, thumb)
			pos += f.step1(pos)
		}
	}
}

// noFlags forgets what was compared.
func (f *flow) noFlags() { f.flags, f.tested, f.equal = flags{}, noCondition, equality{} }

// step1 is the least length of an instruction.
func (f *flow) step1(int64) int64 {
	switch f.im.machine {
	case elf.EM_AARCH64:
		return 4
	case elf.EM_ARM:
		return 2
	}
	return 1
}

// nothing is the state in which nothing is known.
func (f *flow) nothing() *registers {
	r := &registers{}
	r[f.im.arch.SP] = f.freshStack()
	return r
}

// along goes from pos on until a way ends or meets one that was gone.
func (f *flow) along(pos, end int64, thumb bool) {
	f.regs, f.when, f.locks = *f.pending[pos], f.whens[pos], f.lockeds[pos]
	delete(f.pending, pos)
	f.noFlags()
	start := pos
	st := isa.State{Thumb: thumb}
	for pos < end {
		f.im.spend(1)
		if f.gone(pos) {
			f.again(start, pos)
			return
		}
		if f.im.machine == elf.EM_ARM && len(f.s.marks) > 0 {
			t, skip := f.im.mode(f.s, pos, st.Thumb)
			if skip > pos {
				f.went(pos, skip)
				return
			}
			st.Thumb = t
		}
		if p := f.pending[pos]; p != nil {
			f.meet(p)
			f.when = f.both(f.when, f.whens[pos])
			f.locks = f.meetLocks(f.locks, f.lockeds[pos])
			f.noFlags()
			delete(f.pending, pos)
		}
		in, ok := f.im.arch.Decode(f.s.data, pos, &st)
		if to, ok := f.label(pos, end); ok {
			f.branchTo(to, pos)
			if in.Kind == isa.Jump { // the kernel may put a nop in its place
				in.Kind, in.CC = isa.CondJump, isa.CCUnknown
			}
		}
		if !ok || in.Len <= 0 {
			f.remaining(pos, end)
			f.went(pos, pos+1)
			return
		}
		// Inner bytes count as gone too, so that a table's sweep passes them.
		f.went(pos, pos+int64(in.Len))
		r, hasReloc := f.s.relocAt(pos, int64(in.Len))
		if !f.step(in, pos, end, r, hasReloc) {
			return
		}
		pos += int64(in.Len)
	}
}

// remaining takes the calls out of code that could not be decoded from their
// relocations alone.
func (f *flow) remaining(pos, end int64) {
	for pos < end {
		f.im.spend(1)
		r, ok := f.s.relocAt(pos, end-pos)
		if !ok {
			return
		}
		if f.im.isBranch(r.typ) {
			f.im.spend(48)
			f.fn.calls = append(f.fn.calls, call{target: f.im.resolve(r.sym, f.im.branchAddend(r))})
		}
		pos = int64(r.off) + 1
	}
}

// instrumentation are functions at the start of every function that keep its
// arguments, and others that a compiler puts in.
func instrumentation(name string) bool {
	switch name {
	case "__fentry__", "_mcount", "__gnu_mcount_nc", "mcount", "__sanitizer_cov_trace_pc", "__cfi_check":
		return true
	}
	return false
}

// call notes a call; maybe says that it may be passed over.
func (f *flow) call(target place, maybe bool) {
	if target.sec == 0 {
		if name := f.im.syms[target.sym].name; instrumentation(name) {
			return
		} else if name == "__x86_return_thunk" || len(name) > 21 && name[:21] == "__x86_indirect_thunk_" {
			f.clobberCall()
			return
		}
	}
	f.im.spend(48)
	c := call{target: target, when: f.when, locks: f.locks}
	a := f.im.arch
	for i := range c.args {
		if i < len(a.Args) {
			c.args[i] = f.regs[a.Args[i]]
		} else if sp := f.regs[a.SP]; sp.kind == stack {
			c.args[i] = f.slots[[2]int64{int64(sp.sec), sp.off + int64((i-len(a.Args))*a.Word)}]
		}
	}
	f.fn.calls = append(f.fn.calls, c)
	f.lockCall(&c, maybe)
	f.clobberCall()
	if name := c.args[0]; target.sec == 0 && name.kind == address && name.sec != 0 && f.im.syms[target.sym].name == "__symbol_get" {
		f.regs[a.Ret] = value{kind: gotten, sec: name.sec, off: name.off}
	}
}

func (f *flow) clobberCall() {
	for m, i := f.im.arch.CallerSaved, uint8(0); m != 0 && i < 32; m, i = m>>1, i+1 {
		if m&1 != 0 {
			f.regs[i] = value{}
		}
	}
}
