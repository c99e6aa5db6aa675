// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"strings"
)

// request is a name that a module's init can request.
type request struct {
	name  string
	holes bool   // '*' stands for what is not known
	param string // the parameter that gives the name
	weak  []string
	route []string
	// crypto: the request is only made while no such algorithm is there.
	crypto bool
}

func (q *request) less(o *request) bool {
	if a, b := weigh(q.weak), weigh(o.weak); a != b {
		return a < b
	}
	return len(q.route) < len(o.route)
}

// requester's view of one module.
type moduleRequests struct {
	budget
	f        *facts
	m        model
	r        *resolver
	algs     []alg
	out      map[string]*request // the surest route for each name
	opaque   int                 // requests of which nothing is known
	hasParam map[string]bool
	nameless []*request // some of those
	strict   bool       // a branch that is not known to be taken is a weak step
}

const (
	weakProbe    = "the device must be there: a bus calls the probe function"
	weakThread   = "another task requests, and nothing shows that init waits for it"
	weakUnproven = "that init registers it was not followed to the call"
	weakTest     = "registering does not wait for the self-test on this kernel"
	weakMask     = "the mask was not found out: with NEED_FALLBACK the name is not requested"
	weakName     = "the name is taken to be the algorithm's own"
	weakAnyName  = "the name was not found out and is guessed to be the algorithm's own"
	weakHole     = "part of the name is not known and may never be this"
	weakNowait   = "the request is not waited for: the load goes on"
	weakReg      = "init registers what it then asks for, so that nothing may be requested"
)

// weights of the reasons that alone make a finding no more than possible; the
// others count one.
var weights = map[string]int{weakThread: 2, weakAnyName: 2, weakHole: 2, weakNowait: 2, weakReg: 2}

func weigh(weak []string) (n int) {
	for _, w := range weak {
		n += max(1, weights[w])
	}
	return n
}

func weakness(h how) (w []string) {
	if h&viaProbe != 0 {
		w = append(w, weakProbe)
	}
	if h&viaThread != 0 {
		w = append(w, weakThread)
	}
	if h&viaUnproven != 0 {
		w = append(w, weakUnproven)
	}
	return w
}

// requestsOf works out every name that a module's init can request.
func requestsOf(f *facts, r *resolver) *moduleRequests {
	mr := &moduleRequests{budget: budget{left: maxWork}, f: f, m: newModel(f.release), r: r, out: map[string]*request{}, hasParam: map[string]bool{}}
	if err := mr.bounded(mr.find); err != nil {
		f.err, mr.out, mr.opaque = err, nil, 0
	}
	return mr
}

// find works out the requests. It may spend the budget and then panics.
func (mr *moduleRequests) find() {
	f := mr.f
	mr.algs = mr.allAlgs()
	registeredAt, familyAt := len(f.init), map[string]int{}
	for i, e := range f.init {
		if _, ok := registration(e.symbol); ok && i < registeredAt {
			registeredAt = i
		}
		if _, ok := familyAt[e.symbol]; registrars[e.symbol] && !ok {
			familyAt[e.symbol] = i
		}
	}
	for i, e := range f.init {
		ctx := scene{own: i > registeredAt, registered: func(by string) bool { at, ok := familyAt[by]; return ok && at < i }}
		mr.event(e, ctx, nil, weakness(e.how), 0)
	}
	for i := range mr.algs {
		a := &mr.algs[i]
		if !tested[a.name] {
			continue
		}
		weak := weakness(a.how)
		if !mr.m.waitsForTest() {
			weak = append(weak, weakTest)
		}
		route := append(a.route[:len(a.route):len(a.route)], "self-test of "+a.name+" ("+a.driver+")")
		ctx := scene{own: true, alg: a, registered: func(string) bool { return false }}
		if a.how&algViaSimd != 0 {
			route = append(route, "simd: cryptd(__"+a.driver+")")
			mr.crypto(algRequest{name: "cryptd(__" + a.driver + ")", class: a.typ, cmask: algTypeMask, typ: algInternal, mask: algInternal}, ctx, route, weak)
		}
		for _, e := range a.events {
			mr.event(e, ctx, route, append(slices.Clone(weak), weakness(e.how)...), 0)
		}
	}
}

// algViaSimd marks an algorithm that crypto/simd.c makes of an internal one.
const algViaSimd how = 1 << 7

// allAlgs adds what simd makes of internal algorithms: simd_…_create_compat
// registers __NAME again as NAME, through cryptd, asynchronous and with the
// inherited flags (crypto/simd.c).
func (mr *moduleRequests) allAlgs() []alg {
	all := slices.Clone(mr.f.algs)
	simd := false
	for s := range mr.f.imports {
		simd = simd || strings.HasPrefix(s, "simd_")
	}
	if !simd {
		return all
	}
	for _, a := range mr.f.algs {
		n, ok := strings.CutPrefix(a.name, "__")
		d, ok2 := strings.CutPrefix(a.driver, "__")
		if a.flags&algInternal == 0 || !ok || !ok2 {
			continue
		}
		a.name, a.driver = n, d
		a.flags = a.flags&algInherited | algAsync
		a.how |= algViaSimd
		all = append(all, a)
	}
	return all
}

// scene is where an event happens.
type scene struct {
	own        bool // the module's algorithms are registered
	alg        *alg // whose function it is
	registered func(by string) bool
}

// there reports whether an algorithm that a request wants is surely found: the
// module's own, or one in the kernel.
func (mr *moduleRequests) there(ctx scene) satisfied {
	return func(q algRequest) bool {
		if ctx.own {
			mr.spend(len(mr.algs))
			for _, a := range mr.algs {
				if a.name != q.name && a.driver != q.name {
					continue
				}
				mask := q.mask
				if (q.typ|q.mask)&algInternal == 0 {
					mask |= algInternal
				}
				if (a.typ^q.class)&q.cmask == 0 && (a.flags^q.typ)&mask&^algTypeMask == 0 {
					return true
				}
			}
		}
		// Of what is in the kernel only its aliases are known. A plain name is a
		// cipher or hash there, not a (linear) skcipher.
		return mr.r.inside["crypto_"+q.name] && !strings.Contains(q.name, "(") &&
			q.class != typeSKCipher && q.class != typeLSKCipher
	}
}

// event adds what one call requests. route is what led to the event's root.
func (mr *moduleRequests) event(e event, ctx scene, route, weak []string, depth int) {
	mr.spend(16 + len(route) + len(e.route))
	route = append(route[:len(route):len(route)], e.route...)
	route = append(route, e.symbol)
	q, ok := requesters[e.symbol]
	if !ok {
		if depth < 5 {
			mr.foreign(e, ctx, route, weak, depth)
		}
		return
	}
	var n arg
	if q.name >= 0 && q.name < maxArgs {
		n = e.args[q.name]
	}
	number := func(i int) (uint32, bool) {
		if i < 0 {
			return 0, true
		}
		return uint32(e.args[i].n), i < maxArgs && e.args[i].kind == argNumber
	}
	switch q.kind {
	case requestFixed:
		mr.plain(q, arg{kind: argText, text: ""}, ctx, route, weak)
	case requestPrefix:
		mr.plain(q, n, ctx, route, weak)
	case requestNumber:
		if n.kind == argNumber {
			n = arg{kind: argText, text: fmt.Sprint(n.n)}
		}
		mr.plain(q, n, ctx, route, weak)
	case requestFormat:
		if wait := e.args[0]; wait.kind == argNumber && wait.n&0xff == 0 {
			weak = append(slices.Clone(weak), weakNowait)
		}
		mr.format(e, route, weak)
	case requestCrypto:
		typ, _ := number(q.typ)
		mask, sure := number(q.mask)
		r := algRequest{name: n.text, class: q.class, cmask: q.cmask, typ: typ, mask: mask | q.forced, unsure: !sure}
		if q.class == 0 && sure { // the caller gives type and mask of the kind too
			r.class, r.cmask = typ&algTypeMask, mask&algTypeMask
		}
		switch {
		case q.name < 0:
			r.name = q.prefix
			mr.crypto(r, ctx, route, weak)
		case n.kind == argText:
			mr.crypto(r, ctx, route, weak)
		case n.kind == argParam:
			mr.add(&request{name: "crypto-*", holes: true, param: n.text, weak: weak, route: route, crypto: true})
		case ctx.alg != nil && n.kind == argDerived:
			r.name = ctx.alg.name
			mr.crypto(r, ctx, route, append(slices.Clone(weak), weakName))
		case ctx.alg != nil:
			r.name = ctx.alg.name
			mr.crypto(r, ctx, route, append(slices.Clone(weak), weakAnyName))
		default:
			mr.opaque++
		}
	}
}

func (mr *moduleRequests) crypto(r algRequest, ctx scene, route, weak []string) {
	for _, n := range mr.m.lookup(r, mr.there(ctx)) {
		mr.spend(16)
		w := weak
		if n.unsure {
			w = append(slices.Clone(weak), weakMask)
		}
		mr.add(&request{name: n.text, weak: w, route: append(route[:len(route):len(route)], n.via...), crypto: true})
	}
}

func (mr *moduleRequests) plain(q requester, n arg, ctx scene, route, weak []string) {
	if q.registrar != "" && ctx.registered(q.registrar) {
		weak = append(slices.Clone(weak), weakReg)
	}
	switch n.kind {
	case argText:
		mr.add(&request{name: q.prefix + n.text, weak: weak, route: route})
	case argParam:
		mr.add(&request{name: q.prefix + "*", holes: true, param: n.text, weak: weak, route: route})
	default:
		mr.opaque++
	}
}

// matches gives the modules that a request may load.
func (mr *moduleRequests) matches(q *request) []match {
	if !q.holes {
		return mr.r.lookup(q.name)
	}
	mr.spend((len(mr.r.exact) + len(mr.r.modules) + len(mr.r.config.Aliases)) / 4)
	return mr.r.candidates(q.name)
}

// foreign follows a call into the module that exports the function.
func (mr *moduleRequests) foreign(e event, ctx scene, route, weak []string, depth int) {
	owner := mr.r.modules[mr.r.symbols[e.symbol]]
	if owner == nil || owner == mr.f {
		return
	}
	route[len(route)-1] = owner.name + ":" + e.symbol
next:
	for _, sub := range owner.called[e.symbol] {
		mr.spend(1 + len(sub.when))
		weak := weak
		for _, c := range sub.when {
			a := e.args[c.arg]
			if a.kind == argNumber && c.fails(a.n) {
				continue next
			}
			if mr.strict && a.kind != argNumber {
				weak = append(slices.Clone(weak), weakBranch)
			}
		}
		sub.when = nil
		if len(sub.route) > 0 {
			sub.route = sub.route[1:]
		}
		for i, a := range sub.args {
			if a.kind == argPassed && a.n >= 0 && a.n < maxArgs {
				sub.args[i] = a.of(e.args[a.n])
			} else if a.kind == argDerived {
				sub.args[i] = arg{}
				if a.n >= 0 && a.n < maxArgs && (e.args[a.n].kind == argDerived || e.args[a.n].kind == argPassed) {
					sub.args[i] = arg{kind: argDerived, n: e.args[a.n].n}
				}
			}
		}
		mr.event(sub, ctx, route, append(slices.Clone(weak), weakness(sub.how)...), depth+1)
	}
}

func (mr *moduleRequests) add(q *request) {
	if len(q.name) > 255 {
		return
	}
	key := q.name + "\x00" + q.param
	if old := mr.out[key]; old == nil || q.less(old) {
		slices.Sort(q.weak)
		q.weak = slices.Compact(q.weak)
		mr.out[key] = q
	}
}
