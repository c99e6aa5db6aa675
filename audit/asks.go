// SPDX-License-Identifier: Apache-2.0

package audit

// ask is a request that is made while its task keeps others waiting: the task holds
// a lock, or runs a work item or an async function for whose end others wait.
type ask struct {
	held  []hold
	event event
}

// asyncFunctions is what a load waits for at its end: do_init_module calls
// async_synchronize_full unless the module was told to probe in the background
// (kernel/module/main.c; since 67d6212afda2, 5.17, whether or not its init used
// async, and before if it did).
const asyncFunctions = "async functions"

// maxTakings and maxAsks are kept of one function or module.
const maxTakings, maxAsks = 64, 400

// asks finds the requests that a module's functions make under a lock, in a work
// item or in an async function. It looks at all functions, whoever calls them.
//
// runs are those that the kernel calls under a lock. asking are the functions of
// other modules that request; nil if these are not known yet.
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
	if by == "register_netdevice_notifier" {
		end = min(end, p.off+x.im.word()) // struct notifier_block begins with its function, and may be part of more
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
	callers := map[string][]string{} // by what they call
	var todo []string
	for _, f := range all {
		for s, events := range f.called {
			for _, e := range events {
				switch {
				case e.how&viaThread != 0:
				case requesters[e.symbol].kind == 0:
					callers[e.symbol] = append(callers[e.symbol], s)
				case !asking[s]:
					asking[s] = true
					todo = append(todo, s)
				}
			}
		}
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, c := range callers[s] {
			if !asking[c] {
				asking[c] = true
				todo = append(todo, c)
			}
		}
	}
	return asking
}

// deferred gives the function that a call hands to another task, and by what others
// can wait for its end.
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
		im.spend(1 + len(c.when) + c.locks.cost())
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
