// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	weakShared   = "both only read under the lock: they wait for each other only if somebody who writes comes in between"
	weakAnyone   = "nothing is known of the name: whoever gives it must name that module"
	weakAny      = "whoever gives the name must name a module that is there and not loaded yet"
	weakTakes    = "the device must be there: a bus calls the probe function, which takes it"
	weakBranch   = "a branch to it depends on an argument that was not found out"
	weakDrivers  = "the module has several drivers of that bus, and the device may be of another than the one that requests"
	weakUsed     = "before Linux 5.17 a load waits for async functions only if its init has used some, which was not looked at"
	deviceLock   = "device"
	pernetLock   = "pernet_ops_rwsem"
	maxForeignIn = 4
)

func init() { weights[weakShared], weights[weakAnyone], weights[weakUsed] = 2, 2, 2 }

// waits looks, once all modules are studied, for requests that are made while
// something is held that the load of what is requested takes.
type waits struct {
	r       *resolver
	inits   map[string]map[string]taking // by module, by what it takes
	calls   map[string][]taking          // by exported function
	asking  map[string]bool              // exported functions that request
	devices map[[2]string][]string       // by module and bus
}

// findWaits works out the findings of that kind.
func findWaits(all []*facts, r *resolver) (out []Finding) {
	w := &waits{r: r, inits: map[string]map[string]taking{}, calls: map[string][]taking{}, asking: askers(all), devices: map[[2]string][]string{}}
	for _, f := range all {
		if r.modules[f.name] != f {
			continue
		}
		mr := &moduleRequests{budget: budget{left: maxWork}, f: f, m: newModel(f.release), r: r, strict: true}
		var mine []Finding
		if err := mr.bounded(func() { mine = w.of(f, mr, all) }); err != nil {
			if f.err == nil {
				f.err = err
			}
			continue
		}
		out = append(out, mine...)
	}
	return out
}

// of gives the findings for what one module requests.
func (w *waits) of(f *facts, mr *moduleRequests, all []*facts) (out []Finding) {
	groups := map[hold][]event{}
	for _, a := range f.asks {
		for _, h := range a.held {
			h.what = w.owned(f, h.what)
			groups[h] = append(groups[h], a.event)
		}
	}
	for _, e := range f.init {
		if e.how == 0 && len(e.route) < 3 || requesters[e.symbol].kind == 0 && !w.asking[e.symbol] {
			continue // it requests nothing, or nobody has called back
		}
		if e.how&viaAsync != 0 {
			h := hold{what: asyncFunctions}
			groups[h] = append(groups[h], e)
		}
		for _, step := range e.route {
			if buses[step] != nil && e.how&viaProbe != 0 {
				h := hold{what: deviceLock + " " + step}
				groups[h] = append(groups[h], e)
			}
			if (step == "register_pernet_subsys" || step == "register_pernet_device") && e.how&viaThread == 0 {
				h := hold{what: pernetLock}
				groups[h] = append(groups[h], e)
			}
		}
	}
	if len(groups) == 0 {
		return nil
	}
	keys := make([]hold, 0, len(groups))
	for h := range groups {
		keys = append(keys, h)
	}
	slices.SortFunc(keys, func(a, b hold) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	for _, h := range keys {
		mr.out, mr.nameless, mr.hasParam = map[string]*request{}, nil, map[string]bool{}
		for _, e := range groups[h] {
			e.how &^= viaAsync | viaThread
			mr.event(e, scene{registered: func(string) bool { return false }}, nil, weakness(e.how), 0)
		}
		out = append(out, w.group(f, mr, h, all)...)
	}
	return out
}

// owned names a lock or queue for all modules: "MODULE:VARIABLE" for a module's.
func (w *waits) owned(f *facts, what string) string {
	prefix := ""
	for _, p := range []string{"queue ", "work "} {
		if rest, ok := strings.CutPrefix(what, p); ok {
			prefix, what = p, rest
		}
	}
	if v, ok := strings.CutPrefix(what, "."); ok {
		what = f.name + ":" + v
	} else if v, ok := strings.CutPrefix(what, "@"); ok {
		what = v
		name, _, _ := strings.Cut(v, "+")
		if owner := w.r.symbols[name]; owner != "" {
			what = owner + ":" + v
		}
	}
	return prefix + what
}

// group gives the findings for the requests that are made while one thing is
// held: one for each name and what it leads to.
func (w *waits) group(f *facts, mr *moduleRequests, h hold, all []*facts) (out []Finding) {
	live := w.r.depends(f.name)
	for _, k := range slices.Sorted(maps.Keys(mr.out)) {
		q := mr.out[k]
		if slices.Contains(q.weak, weakNowait) {
			continue
		}
		if strings.HasPrefix(q.name, "*") {
			mr.nameless = append(mr.nameless, q)
			continue
		}
		var alike waiters
		for _, m := range mr.matches(q) {
			plan := w.r.plan(m.module)
			mr.spend(4 + len(plan))
			for _, p := range plan {
				if live[p.module] || p.module == f.name {
					continue
				}
				if one, ok := w.met(f, mr, q, h, m, p); ok {
					alike.add(one)
				}
			}
		}
		out = append(out, alike.one()...)
	}
	return append(out, w.anyone(f, mr, h, live, all)...)
}

// anyone gives a finding for requests of whose name nothing is known, where the
// module itself has what is held, so that few others take it.
func (w *waits) anyone(f *facts, mr *moduleRequests, h hold, live map[string]bool, all []*facts) []Finding {
	device := strings.HasPrefix(h.what, deviceLock+" ")
	if device { // a parameter gives it to whoever sets that; else it is for the device to tell
		mr.nameless = slices.DeleteFunc(mr.nameless, func(q *request) bool { return q.param == "" })
	}
	if h.what == asyncFunctions && len(mr.nameless) > 0 { // each load waits
		n := *mr.nameless[0]
		n.name = "*"
		n.weak = append(slices.DeleteFunc(slices.Clone(n.weak), func(s string) bool { return s == weakHole }), weakAny)
		if slices.Contains(n.weak, weakNowait) {
			return nil
		}
		one, _ := w.met(f, mr, &n, h, match{module: "*", why: "any name"}, planned{module: "*"})
		return []Finding{*one}
	}
	if len(mr.nameless) == 0 || !device && !strings.Contains(h.what, ":") {
		return nil
	}
	q := mr.nameless[0]
	for _, o := range mr.nameless {
		if o.less(q) {
			q = o
		}
	}
	if slices.Contains(q.weak, weakNowait) {
		return nil
	}
	var alike waiters
	for _, o := range all {
		if w.r.modules[o.name] != o || live[o.name] || o == f {
			continue
		}
		mr.spend(16)
		n := *q
		n.name, n.holes = "*", true
		n.weak = append(slices.DeleteFunc(slices.Clone(q.weak), func(s string) bool { return s == weakHole }), weakAnyone)
		if one, ok := w.met(f, mr, &n, h, match{module: o.name, why: "its name"}, planned{module: o.name}); ok {
			alike.add(one)
		}
	}
	return alike.one()
}

// waiters are findings for one request that differ in whose load waits.
type waiters []*Finding

// add takes one, if it is the first for its module or surer.
func (c *waiters) add(f *Finding) {
	for i, o := range *c {
		if o.Wait.Module == f.Wait.Module {
			if f.Rank < o.Rank {
				(*c)[i] = f
			}
			return
		}
	}
	*c = append(*c, f)
}

// one is the surest, which names the modules of the others.
func (c waiters) one() []Finding {
	if len(c) == 0 {
		return nil
	}
	best := slices.MinFunc(c, func(a, b *Finding) int { return cmp.Compare(a.Rank, b.Rank) })
	for _, o := range c {
		if o != best {
			best.Wait.Others = append(best.Wait.Others, o.Wait.Module)
		}
	}
	return []Finding{*best}
}

// met gives the finding for one request and one module that it loads, if that
// waits for what is held.
func (w *waits) met(f *facts, mr *moduleRequests, q *request, h hold, m match, p planned) (*Finding, bool) {
	hop := hop(f, q, m, p.module)
	hop.Weak = slices.Clone(hop.Weak)
	if weak := cmp.Or(m.weak, p.weak); weak != "" {
		hop.Weak = append(hop.Weak, weak)
	}
	wait := &Wait{Module: p.module, On: h.what}
	bus, device := strings.CutPrefix(h.what, deviceLock+" ")
	switch {
	case h.what == asyncFunctions:
		if !mr.m.from(model{5, 17}) {
			hop.Weak = append(hop.Weak, weakUsed)
		}
		wait.Kind, wait.Route = "async", []string{"do_init_module", "async_synchronize_full"}
	case device:
		o := w.r.modules[p.module]
		a, ok := sharedDevice(w.devicesOf(f, bus, mr), w.devicesOf(o, bus, mr), mr.spend)
		if !ok {
			return nil, false
		}
		wait.Kind, wait.On = "device", a
		if f.several(bus) {
			hop.Weak = append(hop.Weak, weakDrivers)
		}
		for _, d := range o.drivers {
			if sameBus(d.by, bus) {
				wait.Route = d.route
				break
			}
		}
	default:
		wait.Kind = "lock"
		if strings.HasPrefix(h.what, "queue ") || strings.HasPrefix(h.what, "work ") {
			wait.Kind = "queue"
		}
		t, ok := w.init(p.module)[h.what]
		if !ok {
			return nil, false
		}
		if t.shared && h.shared {
			hop.Weak = append(hop.Weak, weakShared)
		}
		if t.how&viaProbe != 0 {
			hop.Weak = append(hop.Weak, weakTakes)
		}
		wait.Route = t.route
	}
	slices.Sort(hop.Weak)
	hop.Weak = slices.Compact(hop.Weak)
	return &Finding{Module: f.name, File: f.file, Rank: rankOf([]Hop{hop}), Hops: []Hop{hop}, Wait: wait}, true
}

// devicesOf are the devices of a module's drivers of one bus.
func (w *waits) devicesOf(f *facts, bus string, mr *moduleRequests) []string {
	k := [2]string{f.name, buses[bus][0]}
	d, ok := w.devices[k]
	if !ok {
		mr.spend(16 + 4*len(f.aliases))
		d = f.devices(bus)
		w.devices[k] = d
	}
	return d
}

// init tells what the init of a module takes, itself or by what others export.
func (w *waits) init(module string) map[string]taking {
	if t, ok := w.inits[module]; ok {
		return t
	}
	f := w.r.modules[module]
	out := map[string]taking{}
	w.inits[module] = out
	if f == nil {
		return out
	}
	add := func(t taking) {
		if old, ok := out[t.what]; !ok || t.how < old.how || old.shared && !t.shared {
			out[t.what] = t
		}
	}
	for _, t := range f.takes {
		t.what = w.owned(f, t.what)
		add(t)
	}
	for _, e := range f.init {
		if e.how&viaThread != 0 {
			continue
		}
		for _, t := range w.exported(e.symbol, maxForeignIn) {
			if t.taken(e) {
				t.how |= e.how
				t.route = slices.Concat(e.route, t.route)
				add(t)
			}
		}
	}
	return out
}

// taken reports whether a call with an event's arguments comes to what is taken.
func (t *taking) taken(e event) bool {
	for _, c := range t.when {
		if a := e.args[c.arg]; a.kind == argNumber && c.fails(a.n) {
			return false
		}
	}
	return true
}

// exported tells what a function that a module exports takes. Its conditions
// are on its own arguments; those of what it calls in turn are passed over.
func (w *waits) exported(symbol string, depth int) (out []taking) {
	if t, ok := w.calls[symbol]; ok {
		return t
	}
	owner := w.r.modules[w.r.symbols[symbol]]
	if owner == nil || depth == 0 {
		return nil
	}
	w.calls[symbol] = nil // a ring of calls ends here
	have := map[string]bool{}
	for _, t := range owner.calledTakes[symbol] {
		t.what = w.owned(owner, t.what)
		t.route = slices.Concat([]string{owner.name + ":" + symbol}, t.route[min(1, len(t.route)):])
		have[t.what] = true
		out = append(out, t)
	}
	for _, e := range owner.called[symbol] {
		if e.how&viaThread != 0 || lockOps[e.symbol].does != 0 {
			continue
		}
		for _, t := range w.exported(e.symbol, depth-1) {
			if !have[t.what] && len(out) < maxTakings {
				have[t.what] = true
				t.when, t.how = e.when, t.how|e.how
				t.route = slices.Concat([]string{owner.name + ":" + symbol}, e.route[min(1, len(e.route)):], t.route)
				out = append(out, t)
			}
		}
	}
	w.calls[symbol] = out
	return out
}
