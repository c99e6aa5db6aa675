// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"strings"
)

// argKind says what is known of an argument outside of its module.
type argKind uint8

const (
	argUnknown argKind = iota
	argNumber
	argText
	argPassed  // argument n of the exported function that makes the call, its lowest at.off bytes if that is not 0
	argDerived // something that argument n of that function leads to
	argParam   // the value of the module parameter text
	argPointer // to something in the module
)

// arg is an argument of a call, told so that other modules' facts can use it.
type arg struct {
	kind argKind
	n    int64
	text string
	at   place
}

// of is what a passed argument is, given what was passed.
func (a arg) of(v arg) arg {
	n := a.at.off
	switch {
	case n == 0:
		return v
	case v.kind == argNumber && n < 8:
		v.n &= 1<<(8*n) - 1
		return v
	case v.kind == argPassed:
		if v.at.off == 0 || v.at.off > n {
			v.at.off = n
		}
		return v
	}
	return arg{}
}

// how says by what an event is reached from its root, as a set. Each of them
// but none is a reason to be less sure.
type how uint8

const (
	// viaProbe: a bus calls it, at once, for each device that is there.
	viaProbe how = 1 << iota
	// viaThread: another task does it and init goes on.
	viaThread
	// viaUnproven: what is registered was found in the module, but not followed
	// to the call.
	viaUnproven
	// viaAsync: it is an async function, for which the end of each load waits.
	viaAsync
)

// event is a call of an imported function that a root can make.
type event struct {
	symbol string
	args   [maxArgs]arg
	route  []string // functions from the root on
	how    how
	when   []condition // on the root's arguments
}

// maxVisits bounds the functions looked at from one root, maxEvents what is kept.
const maxVisits, maxEvents, maxDepth = 3000, 400, 48

// explorer follows calls through one module. What a function does is worked out
// once and then used with each caller's arguments.
type explorer struct {
	im      *image
	cache   map[variant]*function
	visited map[visit]bool
	events  []event
	seen    map[eventKey]bool
	keep    func(symbol string) bool
	takes   []taking
	drivers []driver
	runs    []run
}

// variant is a function with the numbers it is given.
type variant struct {
	fn      int
	numbers [maxArgs]value
}

type visit struct {
	fn   int
	how  how
	args [maxArgs]value
	when string
}

type eventKey struct {
	symbol string
	args   [maxArgs]arg
	how    how
	when   string
}

func newExplorer(im *image) *explorer {
	return &explorer{im: im, cache: map[variant]*function{}}
}

func (x *explorer) function(sym int, args *[maxArgs]value) *function {
	k := variant{fn: sym}
	for i, a := range args {
		if a.kind == constant || a.kind == given {
			k.numbers[i] = value{kind: given, off: a.off}
		}
	}
	f := x.cache[k]
	if f == nil {
		f = x.im.analyse(sym, k.numbers)
		x.cache[k] = f
	}
	return f
}

// from returns what can be called from a function whose arguments are given.
func (x *explorer) from(sym int, args [maxArgs]value, by how, keep func(string) bool, route ...string) []event {
	x.im.spend(1)
	x.visited, x.seen, x.events, x.keep = map[visit]bool{}, map[eventKey]bool{}, nil, keep
	x.takes, x.drivers, x.runs = nil, nil, nil
	x.walk(sym, args, by, route, nil)
	return x.events
}

func passed() (args [maxArgs]value) {
	for i := range args {
		args[i] = value{kind: argument, off: int64(i)}
	}
	return
}

func substitute(v value, args *[maxArgs]value) value {
	if v.kind != argument && v.kind != derived {
		return v
	}
	if v.off < 0 || v.off >= maxArgs {
		return value{}
	}
	a := args[v.off]
	if v.kind == argument {
		if v.sec == 0 || v.sec >= 8 {
			return a
		}
		switch a.kind { // only the lowest bytes
		case constant, given:
			a.off &= 1<<(8*v.sec) - 1
			return a
		case argument:
			if a.sec == 0 || a.sec > v.sec {
				a.sec = v.sec
			}
			return a
		}
		return value{}
	}
	if a.kind == argument || a.kind == derived {
		return value{kind: derived, off: a.off}
	}
	return value{}
}

func (x *explorer) walk(sym int, args [maxArgs]value, by how, route []string, when []condition) {
	for i := range args {
		if args[i].kind == stack || args[i].kind == contents {
			args[i] = value{}
		}
	}
	v := visit{sym, by, args, fmt.Sprint(when)}
	if x.visited[v] || len(x.visited) >= maxVisits || len(route) >= maxDepth {
		return
	}
	x.visited[v] = true
	route = append(route[:len(route):len(route)], x.im.syms[sym].name)
	for _, c := range x.function(sym, &args).calls {
		x.im.spend(1 + len(c.when))
		now, possible := under(c.when, &args, when)
		if !possible {
			continue
		}
		for i := range c.args {
			c.args[i] = substitute(c.args[i], &args)
		}
		if c.target.sec != 0 {
			if f, ok := x.im.function(c.target); ok {
				x.walk(f, c.args, by, route, now)
			}
			continue
		}
		x.take(c.target.sym, &c.args, by, route, now)
		x.imported(x.im.syms[c.target.sym].name, c.args, by, route, now)
	}
}

// under adds what must hold for a call to what holds for its function: conditions
// on the function's arguments become such on the root's.
func under(conds []condition, args *[maxArgs]value, when []condition) (now []condition, possible bool) {
	now = when[:len(when):len(when)]
	for _, c := range conds {
		switch a := args[c.arg]; a.kind {
		case constant, given:
			if c.fails(a.off) {
				return nil, false
			}
		case argument:
			c.arg = uint8(a.off)
			if n := uint8(a.sec); n != 0 && (c.narrow == 0 || n < c.narrow) {
				c.narrow = n
			}
			if !slices.Contains(now, c) && len(now) < 8 {
				now = append(now, c)
			}
		}
	}
	return now, true
}

func (x *explorer) imported(name string, args [maxArgs]value, by how, route []string, when []condition) {
	x.callbacks(name, args, by, route)
	if !x.keep(name) || len(x.events) >= maxEvents {
		return
	}
	e := event{symbol: name, how: by, route: route, when: when}
	for i, v := range args {
		e.args[i] = x.im.portable(v)
	}
	k := eventKey{name, e.args, by, fmt.Sprint(when)}
	if !x.seen[k] {
		x.seen[k] = true
		x.events = append(x.events, e)
	}
}

// portable tells a value so that it means the same outside of the module.
func (im *image) portable(v value) arg {
	switch v.kind {
	case constant, given:
		return arg{kind: argNumber, n: v.off}
	case argument:
		return arg{kind: argPassed, n: v.off, at: place{off: int64(v.sec)}}
	case derived:
		return arg{kind: argDerived, n: v.off}
	case parameter:
		name, _ := im.param(v.sec, v.off)
		return arg{kind: argParam, text: name}
	case address:
		if name, ok := im.param(v.sec, v.off); ok {
			return arg{kind: argParam, text: name}
		}
		if v.sec == 0 {
			return arg{}
		}
		if s, ok := im.text(v.place()); ok && s != "" && !im.secs[v.sec].code() {
			return arg{kind: argText, text: s, at: v.place()}
		}
		return arg{kind: argPointer, at: v.place()}
	}
	return arg{}
}

// callbacks follows functions that init hands to the kernel and that are called
// before it returns, or on behalf of it.
func (x *explorer) callbacks(name string, args [maxArgs]value, by how, route []string) {
	at := func(i int) (place, bool) { return args[i].place(), args[i].kind == address && args[i].sec != 0 }
	follow := func(p place, by how) {
		if f, ok := x.im.function(p); ok && p.sec != 0 && x.im.secs[p.sec].code() {
			x.walk(f, [maxArgs]value{}, by, append(route[:len(route):len(route)], name), nil)
		}
	}
	w := x.im.word()
	switch {
	case name == "__platform_driver_probe", name == "__platform_create_bundle":
		if p, ok := at(1); ok {
			follow(p, by|viaProbe)
		}
		if p, ok := at(0); ok {
			x.drive(name, p, by, route)
		}
	case name == "__platform_register_drivers":
		if p, ok := at(0); ok {
			_, end, _ := x.im.object(p)
			for off := p.off; off < end; off += w {
				x.im.spend(1)
				if d, ok := x.im.pointer(p.sec, off); ok {
					async := x.drive(name, d, by, route)
					x.probes(d, func(p place) { follow(p, by|viaProbe|async) })
				}
			}
		}
	case registersDriver(name):
		if p, ok := at(0); ok {
			async := x.drive(name, p, by, route)
			x.probes(p, func(p place) { follow(p, by|viaProbe|async) })
		}
	case name == "register_pernet_subsys", name == "register_pernet_device":
		// struct pernet_operations: list, init, …; called for every net
		// namespace at once (net/core/net_namespace.c, __register_pernet_operations).
		if p, ok := at(0); ok {
			if f, ok := x.im.pointer(p.sec, p.off+2*w); ok {
				follow(f, by)
			}
		}
	case name == "rtnl_link_register", name == "__rtnl_link_register", name == "register_netdevice_notifier":
		if p, ok := at(0); ok {
			x.underRtnl(name, p)
		}
	case name == "kthread_create_on_node", name == "kthread_create_on_cpu":
		if p, ok := at(0); ok {
			follow(p, by|viaThread)
		}
	case name == "async_schedule_node":
		if p, ok := at(0); ok {
			follow(p, by|viaThread|viaAsync)
		}
	case name == "queue_work_on", name == "queue_delayed_work_on":
		// struct work_struct: data, entry, func
		if p, ok := at(2); ok {
			if f, ok := x.im.pointer(p.sec, p.off+3*w); ok {
				follow(f, by|viaThread)
			}
		}
	}
}

// registersDriver tells by the name of a function whether its first argument is a
// driver that it registers.
func registersDriver(name string) bool {
	return buses[name] != nil || strings.Contains(name, "register_driver") || strings.HasSuffix(name, "_driver_register")
}

// probes calls f with the probe functions of a driver structure: by name, or the
// first function in it, which probe is in every such structure of the kernel
// that puts it before the others.
func (x *explorer) probes(p place, f func(place)) {
	if p.sec == 0 {
		return
	}
	_, end, ok := x.im.object(p)
	if !ok {
		return
	}
	var first *place
	found := false
	x.im.spend(len(x.im.secs[p.sec].relocs))
	for _, r := range x.im.secs[p.sec].relocs {
		if int64(r.off) < p.off || int64(r.off) >= end {
			continue
		}
		q, ok := x.im.pointer(p.sec, int64(r.off))
		if !ok || q.sec == 0 || !x.im.secs[q.sec].code() {
			continue
		}
		if first == nil {
			first = &q
		}
		if sym, ok := x.im.function(q); ok && strings.Contains(x.im.syms[sym].name, "probe") {
			f(q)
			found = true
		}
	}
	if !found && first != nil {
		f(*first)
	}
}
