// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"strings"

	"safeload/kmod"
)

// facts are what one module's file tells. Nothing in it refers to the file's
// bytes, so that these can go.
type facts struct {
	name, file string
	path       string // the file as it was opened
	release    string
	aliases    []string
	depends    []string
	softdeps   []string
	exports    []string
	init       []event
	called     map[string][]event // by exported function
	takes      []taking           // what init takes
	drivers    []driver           // that init registers
	runs       []run              // functions that are called under a lock
	asks       []ask              // requests of all its functions while something is held
	calls      []string           // imported functions that may be other modules', if it takes locks
	// calledTakes is what exported functions take.
	calledTakes map[string][]taking
	algs        []alg
	imports     map[string]bool // those of the tables only
	compared    budget          // for its aliases to be compared with names
	err         error
}

// information reads .modinfo: key=value strings, each ended by a NUL.
func information(f *facts, b []byte) {
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, 0); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		key, v, ok := strings.Cut(string(line), "=")
		if !ok {
			continue
		}
		switch key {
		case "alias":
			if a, err := kmod.NormalizeAlias(v); err == nil && a != "" {
				f.aliases = append(f.aliases, a)
			}
		case "depends":
			for d := range strings.SplitSeq(v, ",") {
				if d != "" {
					f.depends = append(f.depends, kmod.NormalizeName(d))
				}
			}
		case "softdep":
			f.softdeps = append(f.softdeps, v)
		case "vermagic":
			f.release, _, _ = strings.Cut(v, " ")
		}
	}
}

// study takes the facts out of a module's bytes.
func study(name, file string, raw []byte) *facts { return studyWithin(maxWork, name, file, raw) }

func studyWithin(work int64, name, file string, raw []byte) *facts {
	f := &facts{name: name, file: file, compared: budget{left: work}}
	b := budget{left: work}
	if err := b.bounded(func() { f.study(raw, b) }); err != nil {
		// What it can be asked for still counts, what it asks is not known.
		f.err = err
		f.init, f.called, f.algs, f.imports = nil, nil, nil, nil
		f.takes, f.drivers, f.runs, f.asks, f.calls, f.calledTakes = nil, nil, nil, nil, nil, nil
	}
	return f
}

func (f *facts) study(raw []byte, b budget) {
	im, err := newImage(raw, b)
	if err != nil {
		f.err = err
		return
	}
	// An alias is compared with each name that the tree's modules ask for.
	im.spendEach(int64(len(im.modinfo)), 64)
	information(f, im.modinfo)
	im.kernel = newModel(f.release)
	for i := range im.syms {
		if s := &im.syms[i]; s.sec != 0 {
			if e, ok := strings.CutPrefix(s.name, "__ksymtab_"); ok && e != "" {
				f.exports = append(f.exports, strings.Clone(e))
			}
		} else if s.name != "" && (requesters[s.name].kind != 0 || registrars[s.name] || strings.HasPrefix(s.name, "simd_")) {
			if f.imports == nil {
				f.imports = map[string]bool{}
			}
			f.imports[strings.Clone(s.name)] = true
		}
	}
	if im.arch == nil {
		return
	}
	// A call matters if it requests by itself, registers what requests, or is
	// a function of another module, which only one with dependencies can call.
	interesting := func(s string) bool {
		if requesters[s].kind != 0 || registrars[s] {
			return true
		}
		if _, ok := registration(s); ok {
			return true
		}
		return len(f.depends) > 0 && !common[s]
	}
	x := newExplorer(im)
	if sym, ok := im.initFunction(); ok {
		f.init = x.from(sym, [maxArgs]value{}, 0, interesting)
		f.takes, f.drivers, f.runs = x.takes, x.drivers, x.runs
	}
	f.registered(x, interesting)
	if len(f.imports) > 0 || len(f.depends) > 0 {
		f.callable(x, interesting)
	}
	f.asks = x.asks(f.runs, nil)
	if len(f.depends) > 0 && len(im.lockOps) > 0 {
		for i := range im.syms {
			if s := &im.syms[i]; s.sec == 0 && s.name != "" && !common[s.name] && lockOps[s.name].does == 0 {
				f.calls = append(f.calls, strings.Clone(s.name))
			}
		}
	}
	f.own()
}

// callable works out what each function that f exports asks for and takes.
func (f *facts) callable(x *explorer, interesting func(string) bool) {
	exported := map[string]bool{}
	for _, e := range f.exports {
		exported[e] = true
	}
	for i := range x.im.syms {
		s := &x.im.syms[i]
		if s.sec == 0 || !s.global || !exported[s.name] || !x.im.secs[s.sec].code() {
			continue
		}
		sym, ok := x.im.function(place{sec: int32(s.sec), off: int64(s.value)})
		if !ok {
			continue
		}
		if ev := x.from(sym, passed(), 0, interesting); len(ev) > 0 {
			if f.called == nil {
				f.called = map[string][]event{}
			}
			f.called[strings.Clone(s.name)] = ev
		}
		if len(x.takes) > 0 {
			if f.calledTakes == nil {
				f.calledTakes = map[string][]taking{}
			}
			f.calledTakes[strings.Clone(s.name)] = x.takes
		}
	}
}

// askAgain works the asks out with the functions of other modules that request.
func (f *facts) askAgain(raw []byte, asking map[string]bool) { f.askWithin(maxWork, raw, asking) }

func (f *facts) askWithin(work int64, raw []byte, asking map[string]bool) {
	b := budget{left: work}
	var asks []ask
	err := b.bounded(func() {
		if im, err := newImage(raw, b); err == nil && im.arch != nil {
			asks = newExplorer(im).asks(f.runs, asking)
		}
	})
	if err != nil && f.err == nil {
		f.err = err // what it asks by the functions of others is not known
	}
	if err != nil || asks == nil {
		return
	}
	f.asks = asks
	f.own()
}

// registered collects the algorithms that init registers.
func (f *facts) registered(x *explorer, keep func(string) bool) {
	done := map[place]bool{}
	objects := func(p place, typ uint32, by how, route []string) {
		start, _, ok := x.im.object(p)
		if !ok || done[place{sec: p.sec, off: start}] {
			return
		}
		done[place{sec: p.sec, off: start}] = true
		for _, a := range x.algorithms(p, typ, keep) {
			a.how, a.route = by, route
			f.algs = append(f.algs, a)
		}
	}
	var lost *event
	var lostType uint32
	for i := range f.init {
		e := &f.init[i]
		typ, ok := registration(e.symbol)
		if !ok {
			continue
		}
		route := append(e.route[:len(e.route):len(e.route)], e.symbol)
		if e.args[0].kind == argPointer || e.args[0].kind == argText {
			objects(e.args[0].at, typ, e.how, route)
		} else {
			lost, lostType = e, typ
		}
	}
	if lost == nil {
		return
	}
	// Some registration's argument was not followed: take what else there is.
	for i := range x.im.syms {
		s := &x.im.syms[i]
		if s.sec != 0 && s.size > 2*maxAlgName && s.typ == 1 && x.im.secs[s.sec].data != nil {
			objects(place{sec: int32(s.sec), off: int64(s.value)}, lostType, lost.how|viaUnproven,
				append(lost.route[:len(lost.route):len(lost.route)], lost.symbol))
		}
	}
}

// own makes all strings of the facts independent of the file's bytes.
func (f *facts) own() {
	seen := map[string]string{}
	one := func(s *string) {
		c, ok := seen[*s]
		if !ok {
			c = strings.Clone(*s)
			seen[c] = c
		}
		*s = c
	}
	events := func(ev []event) {
		for i := range ev {
			one(&ev[i].symbol)
			for j := range ev[i].route {
				one(&ev[i].route[j])
			}
			for j := range ev[i].args {
				one(&ev[i].args[j].text)
			}
		}
	}
	takes := func(t []taking) {
		for i := range t {
			one(&t[i].what)
			for j := range t[i].route {
				one(&t[i].route[j])
			}
		}
	}
	takes(f.takes)
	for _, t := range f.calledTakes {
		takes(t)
	}
	for i := range f.drivers {
		for _, words := range [][]string{f.drivers[i].route, f.drivers[i].names} {
			for j := range words {
				one(&words[j])
			}
		}
		one(&f.drivers[i].by)
	}
	for i := range f.asks {
		for j := range f.asks[i].held {
			one(&f.asks[i].held[j].what)
		}
		ev := []event{f.asks[i].event}
		events(ev)
		f.asks[i].event = ev[0]
	}
	events(f.init)
	for _, ev := range f.called {
		events(ev)
	}
	for i := range f.algs {
		events(f.algs[i].events)
		for j := range f.algs[i].route {
			one(&f.algs[i].route[j])
		}
	}
}
