// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/binary"
	"slices"
	"strings"

	"safeload/audit/internal/isa"
)

// ask is a call that requests while its task keeps others waiting: it holds a
// lock, or it is what somebody waits for that flushes a queue or all async
// functions.
type ask struct {
	held  []hold
	event event
}

// hold is what is kept from others, told so that other modules' facts can name
// it: a lock's function, "@" and an imported variable, "." and one of the module.
// A queue or work item has "queue " or "work " before it.
type hold struct {
	what   string
	shared bool
}

// taking is a wait for a lock or the like that a function can come to.
type taking struct {
	hold
	how   how
	route []string
	when  []condition
}

// asyncFunctions is what a load waits for at its end: do_init_module calls
// async_synchronize_full unless the module was told to probe in the background
// (kernel/module/main.c, since 5.18 whether or not its init used async;
// before, if it did).
const asyncFunctions = "async functions"

// maxTakings and maxAsks are kept of one function or module.
const maxTakings, maxAsks = 64, 400

// take notes what a call of an imported function waits for.
func (x *explorer) take(sym int32, args *[maxArgs]value, by how, route []string, when []condition) {
	op, ok := x.im.lockOps[sym]
	if !ok || by&viaThread != 0 || len(x.takes) >= maxTakings {
		return // init does not wait for another task
	}
	name := x.im.syms[sym].name
	switch op.does {
	case passes:
		for _, n := range strings.Fields(op.named) {
			x.taken(hold{n, op.shared}, name, by, route, when)
		}
	case acquires:
		if h, ok := x.im.holding(lockOf(op, args[0])); ok {
			x.taken(h, name, by, route, when)
		}
	case drains:
		if what, ok := x.im.variable(args[0], op.named == "queue "); ok {
			x.taken(hold{what: op.named + what}, name, by, route, when)
		}
	}
}

func (x *explorer) taken(h hold, name string, by how, route []string, when []condition) {
	for i := range x.takes {
		if t := &x.takes[i]; t.hold == h && t.how == by && slices.Equal(t.when, when) {
			return
		}
	}
	x.im.spend(16)
	x.takes = append(x.takes, taking{hold: h, how: by, route: append(route[:len(route):len(route)], name), when: when})
}

// holding tells a lock so that it means the same outside of the module.
func (im *image) holding(l lock) (hold, bool) {
	if l.name != "" {
		return hold{l.name, l.shared}, true
	}
	what, ok := im.variable(l.at, false)
	return hold{what, l.shared}, ok
}

// variable names the variable at an address, or the one whose content a value is.
func (im *image) variable(v value, content bool) (string, bool) {
	if v.kind == gotten && !content {
		name, ok := im.text(place{sec: v.sec, off: v.off})
		return "@" + name, ok && name != ""
	}
	if content != (v.kind == contents) || !content && v.kind != address {
		return "", false
	}
	if v.sec == 0 {
		return "@" + im.syms[v.sym].name + offset(v.off), v.sym > 0
	}
	if im.secs[v.sec].code() {
		return "", false
	}
	start, _, ok := im.object(v.place())
	if !ok {
		return "." + im.secs[v.sec].name + offset(v.off), true
	}
	for _, i := range im.objects[v.sec] {
		if int64(im.syms[i].value) == start {
			return "." + im.syms[i].name + offset(v.off-start), true
		}
	}
	return "", false
}

// asks are the calls of a module's functions, whoever calls these, that request
// under a lock or in the place of a queue or an async function.
//
// runs are functions that are called under a lock, asking the functions of other modules that
// request, as far as they are known.
func (x *explorer) asks(runs []run, asking map[string]bool) (out []ask) {
	im := x.im
	x.keep = func(s string) bool { return requesters[s].kind != 0 || asking[s] }
	g := im.requesting(x.keep)
	if len(g.reach) == 0 {
		return nil
	}
	add := func(held []hold, ev []event) {
		for _, e := range ev {
			if len(out) < maxAsks {
				im.spend(16)
				out = append(out, ask{held, e})
			}
		}
	}
	for _, sym := range g.schedulers {
		for _, c := range x.function(sym, &[maxArgs]value{}).calls {
			if c.target.sec != 0 {
				continue
			}
			held, f := x.deferred(c)
			if f != 0 && g.reach[f] {
				add(held, x.from(f, [maxArgs]value{}, 0, x.keep))
			}
		}
	}
	if len(im.lockOps) > 0 {
		x.visited, x.seen = map[visit]bool{}, map[eventKey]bool{}
		for _, r := range runs {
			if g.reach[r.sym] {
				x.under(g, r.sym, passed(), []string{"registered by " + r.by}, lockState{held: []lock{{name: r.lock}}}, nil, &out)
			}
		}
		for _, sym := range g.lockers {
			x.under(g, sym, passed(), nil, lockState{}, nil, &out)
		}
	}
	return out
}

// run is a function that the kernel calls under a lock.
type run struct {
	sym      int
	by, lock string
}

// underRtnl notes the functions of what is registered whose calls the kernel makes
// under rtnl: those of struct rtnl_link_ops (net/core/rtnetlink.c), and a notifier's
// of network devices (net/core/dev.c, call_netdevice_notifiers_info).
func (x *explorer) underRtnl(by string, p place) {
	start, end, ok := x.im.object(p)
	if !ok {
		return
	}
	for off := max(start, p.off); off < end && len(x.runs) < maxTakings; off += x.im.word() {
		x.im.spend(1)
		if q, ok := x.im.pointer(p.sec, off); ok && q.sec != 0 && x.im.secs[q.sec].code() {
			if f, ok := x.im.function(q); ok {
				x.runs = append(x.runs, run{f, by, "rtnl_lock"})
			}
		}
	}
}

// askers are the exported functions that request, before they return.
func askers(all []*facts) map[string]bool {
	asking := map[string]bool{}
	for n := -1; n != len(asking); {
		n = len(asking)
		for _, f := range all {
			for s, events := range f.called {
				asking[s] = asking[s] || slices.ContainsFunc(events, func(e event) bool {
					return e.how&viaThread == 0 && (requesters[e.symbol].kind != 0 || asking[e.symbol])
				})
				if !asking[s] {
					delete(asking, s)
				}
			}
		}
	}
	return asking
}

// deferred tells what a call has another task do, and who waits for that.
func (x *explorer) deferred(c call) (held []hold, f int) {
	im := x.im
	function := func(v value) int {
		if v.kind == address && v.sec != 0 && im.secs[v.sec].code() {
			if f, ok := im.function(v.place()); ok {
				return f
			}
		}
		return 0
	}
	switch im.syms[c.target.sym].name {
	case "async_schedule_node":
		return []hold{{what: asyncFunctions}}, function(c.args[0])
	case "queue_work_on", "queue_delayed_work_on", "mod_delayed_work_on":
		if w := c.args[2]; w.kind == address && w.sec != 0 {
			// struct work_struct: data, entry, func
			if p, ok := im.pointer(w.sec, w.off+3*im.word()); ok && p.sec != 0 {
				f = function(addressOf(p))
			}
			if what, ok := im.variable(c.args[1], true); ok {
				held = append(held, hold{what: "queue " + what})
			}
			if what, ok := im.variable(w, false); ok {
				held = append(held, hold{what: "work " + what})
			}
		}
	}
	return held, f
}

// under follows calls from a function that acquires a lock on to those that
// request, with what is held on the way.
func (x *explorer) under(g *graph, sym int, args [maxArgs]value, route []string, locks lockState, when []condition, out *[]ask) {
	im := x.im
	for i := range args {
		if args[i].kind == stack || args[i].kind == contents {
			args[i] = value{}
		}
	}
	v := visit{fn: sym, args: args, when: held(locks.held)}
	if x.visited[v] || len(x.visited) >= maxVisits || len(route) >= maxDepth {
		return
	}
	x.visited[v] = true
	route = append(route[:len(route):len(route)], im.syms[sym].name)
	for _, c := range x.function(sym, &args).calls {
		im.spend(1 + len(c.when))
		now := locks.then(c.locks, &args)
		if len(now.held) == 0 {
			continue
		}
		conds, possible := under(c.when, &args, when)
		if !possible {
			continue
		}
		for i := range c.args {
			c.args[i] = substitute(c.args[i], &args)
		}
		if c.target.sec != 0 {
			// A way back into the middle of a function (from its cold part) is no call.
			if f, ok := im.function(c.target); ok && g.reach[f] && int64(im.syms[f].value) == c.target.off {
				x.under(g, f, c.args, route, now, conds, out)
			}
			continue
		}
		name := im.syms[c.target.sym].name
		if !x.keep(name) || len(*out) >= maxAsks {
			continue
		}
		var holds []hold
		for _, l := range now.held {
			if h, ok := im.holding(l); ok {
				holds = append(holds, h)
			}
		}
		if len(holds) == 0 {
			continue
		}
		e := event{symbol: name, route: route, when: conds}
		for i, v := range c.args {
			e.args[i] = im.portable(v)
		}
		k := eventKey{symbol: name, args: e.args, when: held(now.held)}
		if !x.seen[k] {
			x.seen[k] = true
			im.spend(16)
			*out = append(*out, ask{holds, e})
		}
	}
}

// graph is what of a module's calls matters here.
type graph struct {
	reach      map[int]bool // functions that lead to a request
	lockers    []int        // of them those that acquire, and who calls these
	schedulers []int        // functions that have another task do something
}

// requesting finds the functions that lead to a request by calls within the
// module. It looks at branches alone, so it is cheap and may find too many.
func (im *image) requesting(asks func(symbol string) bool) *graph {
	g := &graph{reach: map[int]bool{}}
	if im.arch == nil {
		return g
	}
	var todo []int
	mark := func(f int) {
		if !g.reach[f] {
			g.reach[f] = true
			todo = append(todo, f)
		}
	}
	acquiring, scheduling := map[int]bool{}, map[int]bool{}
	requests := map[int32]uint8{} // what an imported symbol is
	for i := range im.syms {
		s := &im.syms[i]
		switch {
		case s.sec != 0:
		case asks(s.name):
			requests[int32(i)] = 1
		case s.name == "async_schedule_node", s.name == "queue_work_on", s.name == "queue_delayed_work_on", s.name == "mod_delayed_work_on":
			requests[int32(i)] = 2
		case im.lockOps[int32(i)].does == acquires:
			requests[int32(i)] = 3
		}
	}
	callers := map[int][]int{}
	for i := range im.secs {
		s := &im.secs[i]
		if !s.code() || s.data == nil {
			continue
		}
		for _, r := range s.relocs {
			im.spend(1)
			what := requests[r.sym]
			local := im.syms[r.sym].sec != 0 && im.isBranch(r.typ)
			if what == 0 && !local {
				continue
			}
			f, ok := im.function(place{sec: int32(i), off: int64(r.off)})
			if !ok {
				continue
			}
			switch what {
			case 1:
				mark(f)
			case 2:
				scheduling[f] = true
			case 3:
				acquiring[f] = true
			}
			if local {
				if p, ok := im.branchPlace(s.data, r); ok {
					if t, ok := im.function(p); ok && t != f {
						callers[t] = append(callers[t], f)
					}
				}
			}
		}
	}
	if len(todo) == 0 {
		return g
	}
	for i := range im.secs {
		if s := &im.secs[i]; s.code() && s.data != nil {
			im.branches(int32(i), func(from, to int64) {
				if t, ok := im.function(place{sec: int32(i), off: to}); ok && int64(im.syms[t].value) == to {
					if f, ok := im.function(place{sec: int32(i), off: from}); ok && f != t {
						callers[t] = append(callers[t], f)
					}
				}
			})
		}
	}
	for len(todo) > 0 {
		f := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		im.spend(1 + len(callers[f]))
		for _, c := range callers[f] {
			mark(c)
		}
	}
	// A function that a caller gives the name is gone through from there too.
	lockers := map[int]bool{}
	for f := range acquiring {
		for _, c := range callers[f] {
			if g.reach[c] {
				lockers[c] = true
			}
		}
		if g.reach[f] {
			lockers[f] = true
		}
	}
	g.lockers, g.schedulers = sorted(lockers), sorted(scheduling)
	return g
}

func sorted(m map[int]bool) (out []int) {
	for f := range m {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

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
