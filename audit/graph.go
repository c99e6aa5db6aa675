// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/binary"
	"maps"
	"slices"

	"safeload/audit/internal/isa"
)

// graph is what of a module's calls matters here.
type graph struct {
	reach      map[int]bool // functions that lead to a request
	lockers    []int        // of them those that acquire, and who calls these
	schedulers []int        // functions that have another task do something
}

// requesting finds the functions that lead to a request by calls within the
// module; asks tells which imported functions request. It looks at branches alone, so
// it is cheap and may find too many.
func (im *image) requesting(asks func(symbol string) bool) *graph {
	g := &graph{reach: map[int]bool{}}
	if im.arch == nil {
		return g
	}
	plays := im.players(im.roles(asks))
	todo := sorted(plays[requests])
	if len(todo) == 0 {
		return g
	}
	callers := im.callers()
	for _, f := range todo {
		g.reach[f] = true
	}
	for len(todo) > 0 {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		im.spend(1 + len(callers[f]))
		for _, c := range callers[f] {
			if !g.reach[c] {
				g.reach[c] = true
				todo = append(todo, c)
			}
		}
	}
	// A function that a caller gives the name is gone through from there too.
	lockers := map[int]bool{}
	for f := range plays[locks] {
		im.spend(1 + len(callers[f]))
		for _, c := range append(callers[f][:len(callers[f]):len(callers[f])], f) {
			if g.reach[c] {
				lockers[c] = true
			}
		}
	}
	g.lockers, g.schedulers = sorted(lockers), sorted(plays[schedules])
	return g
}

// role is what an imported function does, and with it the one that calls it.
type role uint8

const (
	requests role = iota + 1
	schedules
	locks
	roles
)

// roles are those of the imported symbols that have any.
func (im *image) roles(asks func(symbol string) bool) map[int32]role {
	out := map[int32]role{}
	for i := range im.syms {
		s := &im.syms[i]
		switch {
		case s.sec != 0:
		case asks(s.name):
			out[int32(i)] = requests
		case s.name == "async_schedule_node", s.name == "queue_work_on", s.name == "queue_delayed_work_on", s.name == "mod_delayed_work_on":
			out[int32(i)] = schedules
		case im.lockOps[int32(i)].does == acquires:
			out[int32(i)] = locks
		}
	}
	return out
}

// players are functions by what they call: the roles of imported symbols.
func (im *image) players(by map[int32]role) (plays [roles]map[int]bool) {
	for i := range plays {
		plays[i] = map[int]bool{}
	}
	for i := range im.secs {
		s := &im.secs[i]
		if !s.code() || s.data == nil {
			continue
		}
		for _, r := range s.relocs {
			im.spend(1)
			if what := by[r.sym]; what != 0 {
				if f, ok := im.function(place{sec: int32(i), off: int64(r.off)}); ok {
					plays[what][f] = true
				}
			}
		}
	}
	return plays
}

// callers says of each function which others of the module call it, taken from the
// branches of the code.
func (im *image) callers() map[int][]int {
	if im.calledBy != nil {
		return im.calledBy
	}
	im.calledBy = map[int][]int{}
	for i := range im.secs {
		s := &im.secs[i]
		if !s.code() || s.data == nil {
			continue
		}
		for _, r := range s.relocs {
			im.spend(1)
			if im.syms[r.sym].sec == 0 || !im.isBranch(r.typ) {
				continue
			}
			f, ok := im.function(place{sec: int32(i), off: int64(r.off)})
			if !ok {
				continue
			}
			if p, ok := im.branchPlace(s.data, r); ok {
				if t, ok := im.function(p); ok && t != f {
					im.calledBy[t] = append(im.calledBy[t], f)
				}
			}
		}
		// Within a section they need no relocation.
		im.branches(int32(i), func(from, to int64) {
			im.spend(2)
			t, ok := im.function(place{sec: int32(i), off: to})
			if !ok || int64(im.syms[t].value) != to {
				return
			}
			if f, ok := im.function(place{sec: int32(i), off: from}); ok && f != t {
				im.calledBy[t] = append(im.calledBy[t], f)
			}
		})
	}
	return im.calledBy
}

func sorted(m map[int]bool) []int { return slices.Sorted(maps.Keys(m)) }

// branchPlace is where a branch with a relocation leads.
func (im *image) branchPlace(code []byte, r reloc) (place, bool) {
	if im.arch != isa.ARM {
		return im.resolve(r.sym, im.branchAddend(r)), true
	}
	to, ok := im.branchARM(code, int64(r.off), im.syms[r.sym].thumb)
	if !ok {
		return place{}, false
	}
	return im.resolve(r.sym, to-int64(r.off)), true
}

// branchARM decodes a branch of A32, or of T32.
func (im *image) branchARM(code []byte, at int64, thumb bool) (int64, bool) {
	in, ok := isa.ARM.Decode(code, at, &isa.State{Thumb: thumb})
	if !ok || in.Kind != isa.Call && in.Kind != isa.Jump && in.Kind != isa.CondJump {
		return 0, false
	}
	return in.Target, true
}

// branches calls f with what looks like a branch of a section's code to elsewhere
// in it: more than there are, on amd64, where code is not taken apart for it.
func (im *image) branches(sec int32, f func(from, to int64)) {
	s := &im.secs[sec]
	code, n := s.data, int64(len(s.data))
	im.spend(len(code) / 16)
	switch im.arch {
	case isa.ARM64:
		for at := int64(0); at+4 <= n; at += 4 {
			if op := binary.LittleEndian.Uint32(code[at:]); op&0x7c000000 == 0x14000000 && op&0x03ffffff != 0 {
				f(at, at+int64(int32(op<<6)>>6)*4)
			}
		}
	case isa.AMD64:
		for at := int64(0); at+5 <= n; at++ {
			if op := code[at]; op == 0xe8 || op == 0xe9 {
				if d := int64(int32(binary.LittleEndian.Uint32(code[at+1:]))); d != 0 {
					f(at, at+5+d)
				}
			}
		}
	case isa.ARM:
		im.spend(len(s.marks))
		if len(s.funcs) > 0 && im.syms[s.funcs[0]].thumb {
			for at := int64(0); at+4 <= n; at += 2 {
				if code[at+1]&0xf8 == 0xf0 && code[at+3]&0x80 != 0 {
					if to, ok := im.branchARM(code, at, true); ok {
						f(at, to)
					}
				}
			}
			return
		}
		for at := int64(0); at+4 <= n; at += 4 {
			if op := binary.LittleEndian.Uint32(code[at:]); op&0x0e000000 == 0x0a000000 && op>>28 != 0xf && op&0xffffff != 0xfffffe {
				f(at, at+8+int64(int32(op<<8)>>8)*4)
			}
		}
	}
}
