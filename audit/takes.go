// SPDX-License-Identifier: Apache-2.0

package audit

import "slices"

// hold names what a task keeps from others, so that the facts of another module can
// name it too: the function of a lock, "@" and an imported variable, or "." and a
// variable of the module. A queue or work item has "queue " or "work " before that.
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

// take notes what a call of an imported function waits for.
func (x *explorer) take(sym int32, args *[maxArgs]value, by how, route []string, when []condition) {
	op, ok := x.im.lockOps[sym]
	if !ok || by&viaThread != 0 || len(x.takes) >= maxTakings {
		return // init does not wait for another task
	}
	name := x.im.syms[sym].name
	switch op.does {
	case passes:
		for _, h := range passedBy(name, x.im.kernel) {
			x.taken(h, name, by, route, when)
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

// variable names the variable at an address or, with content, the one that a value
// was read from.
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
