// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"strings"
)

// Rank says how sure a finding is.
type Rank int

// Ranks. A route has a weak step where something is not known from the files:
// whether a device is there, whether init waits, which flags an argument has.
const (
	// Certain: every step of the route follows from the files and the kernel's
	// own code, and init waits for it.
	Certain Rank = iota
	// Likely: one weak step.
	Likely
	// Possible: more than one.
	Possible
	// ParameterDriven: the name is a module parameter's.
	ParameterDriven
)

func (r Rank) String() string {
	return [...]string{"certain", "likely", "possible", "parameter"}[r]
}

// Finding is one recursion.
type Finding struct {
	Module string `json:"module"`
	File   string `json:"file"`
	Rank   Rank   `json:"-"`
	// Hops of the ring, one if the module requests itself.
	Hops []Hop `json:"hops"`
	// Parameter that gives the name.
	Parameter string `json:"parameter,omitempty"`
	// Command is "install" or "remove" if it is no init that leads back to
	// itself but a command of the configuration.
	Command string `json:"command,omitempty"`
	// Wait is set if the request leads to no load of its own module, but to one
	// that waits for what the requester holds.
	Wait *Wait `json:"wait,omitempty"`
}

// Hop says what one module requests and what that loads.
type Hop struct {
	Module  string   `json:"module"`
	Request string   `json:"request"`
	Route   []string `json:"route"`
	// Weak steps, why it is not certain.
	Weak []string `json:"weak,omitempty"`
	// Match is the module that the name stands for, by Why.
	Match string `json:"match"`
	Why   string `json:"why"`
	// Loads is the module that has to be loaded with it and closes the ring:
	// Match itself, or one it depends on.
	Loads string `json:"loads"`
	// While says what must not be there for the request to be made.
	While string `json:"while,omitempty"`
}

func hop(f *facts, q *request, m match, loads string) Hop {
	h := Hop{Module: f.name, Request: q.name, Route: q.route, Weak: q.weak, Match: m.module, Why: m.why, Loads: loads}
	if q.crypto {
		n := strings.TrimSuffix(strings.TrimPrefix(q.name, "crypto-"), "-all")
		h.While = "no usable " + n + " is registered yet"
	}
	return h
}

func rankOf(hops []Hop) Rank {
	n := 0
	for _, h := range hops {
		n += weigh(h.Weak)
	}
	return Rank(min(n, int(Possible)))
}

// edge is a request of a module's init that another module's load must answer.
type edge struct {
	to  string
	hop Hop
}

// find works out all findings; not all rings if whole is false. asked are the
// requests that another module's load must answer, each module's surest.
func find(all []*facts, r *resolver, each func(*facts) *moduleRequests) (out []Finding, asked []Hop, whole bool) {
	edges := map[string][]edge{}
	for _, f := range all {
		if r.modules[f.name] != f || len(f.init) == 0 && len(f.algs) == 0 {
			continue
		}
		mr := each(f)
		best, self, params := map[string]edge{}, []Hop(nil), []Finding(nil)
		if err := mr.bounded(func() { self, params = answers(f, r, mr, best) }); err != nil {
			f.err = err
			continue
		}
		out = append(out, params...)
		if len(self) > 0 {
			// The surest first; one finding for each request that leads home.
			sort.SliceStable(self, func(i, j int) bool { return weigh(self[i].Weak) < weigh(self[j].Weak) })
			seen := map[string]bool{}
			for _, h := range self {
				if !seen[h.Request] {
					seen[h.Request] = true
					out = append(out, Finding{Module: f.name, File: f.file, Rank: rankOf([]Hop{h}), Hops: []Hop{h}})
				}
			}
		}
		for _, e := range best {
			edges[f.name] = append(edges[f.name], e)
		}
		sort.Slice(edges[f.name], func(i, j int) bool { return edges[f.name][i].to < edges[f.name][j].to })
		for _, e := range edges[f.name] {
			asked = append(asked, e.hop)
		}
	}
	found, whole := rings(edges, r)
	out = append(out, found...)
	out = append(out, commandLoops(r)...)
	out = append(out, findWaits(all, r)...)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := out[i], out[j]
		if a.Rank != b.Rank {
			return a.Rank < b.Rank
		}
		if len(a.Hops) != len(b.Hops) {
			return len(a.Hops) < len(b.Hops)
		}
		if wa, wb := weakOf(a), weakOf(b); wa != wb {
			return wa < wb
		}
		if a.Module != b.Module {
			return a.Module < b.Module
		}
		return a.Hops[0].Request < b.Hops[0].Request
	})
	slices.SortStableFunc(asked, func(a, b Hop) int { return cmp.Compare(a.Module, b.Module) })
	return out, asked, whole
}

// answers finds what the requests of a module load: the module itself, or others,
// of which best keeps the surest way to each. Names that a parameter gives are
// findings of their own.
func answers(f *facts, r *resolver, mr *moduleRequests, best map[string]edge) (self []Hop, params []Finding) {
	live := r.depends(f.name)
	for _, k := range slices.Sorted(maps.Keys(mr.out)) {
		q := mr.out[k]
		if q.param != "" {
			if !mr.hasParam[q.param+q.name] {
				mr.hasParam[q.param+q.name] = true
				params = append(params, Finding{Module: f.name, File: f.file, Rank: ParameterDriven, Parameter: q.param,
					Hops: []Hop{{Module: f.name, Request: q.name, Route: q.route, Weak: q.weak}}})
			}
			continue
		}
		for _, m := range mr.matches(q) {
			plan := r.plan(m.module)
			mr.spend(4 + len(plan))
			for _, p := range plan {
				loads := p.module
				if live[loads] {
					continue
				}
				h := hop(f, q, m, loads)
				if weak := cmp.Or(m.weak, p.weak); weak != "" {
					h.Weak = append(slices.Clone(h.Weak), weak)
				}
				if loads == f.name {
					self = append(self, h)
				} else if old, ok := best[loads]; !q.holes && (!ok || weigh(h.Weak) < weigh(old.hop.Weak)) {
					best[loads] = edge{loads, h}
				}
			}
		}
	}
	return self, params
}

func weakOf(f Finding) (n int) {
	for _, h := range f.Hops {
		n += weigh(h.Weak)
	}
	return n
}

// maxRing is the longest ring that is looked for, maxSteps how many edges are
// looked at for all of them.
const maxRing, maxSteps = 5, 5_000_000

// rings finds rings of two modules and more: each one whose load waits for the
// next one's. A module that another of the ring depends on is live before that
// one's init, so the two are never both loading. whole is false if there were too
// many ways to follow them all.
func rings(edges map[string][]edge, r *resolver) (out []Finding, whole bool) {
	starts := make([]string, 0, len(edges))
	for m := range edges {
		starts = append(starts, m)
	}
	sort.Strings(starts)
	deps := map[string]map[string]bool{}
	depends := func(a, b string) bool {
		if deps[a] == nil {
			deps[a] = r.depends(a)
		}
		return deps[a][b]
	}
	steps := 0
	for _, start := range starts {
		// Shortest ways back to start through modules after it in the order of
		// names, so that each ring is found once.
		var path []edge
		on := map[string]bool{start: true}
		var walk func(at string)
		walk = func(at string) {
			for _, e := range edges[at] {
				if steps++; steps > maxSteps {
					return
				}
				if e.to == start && len(path) > 0 {
					hops := make([]Hop, 0, len(path)+1)
					for _, p := range path {
						hops = append(hops, p.hop)
					}
					hops = append(hops, e.hop)
					f := r.modules[start]
					out = append(out, Finding{Module: start, File: f.file, Rank: rankOf(hops), Hops: hops})
					continue
				}
				if e.to < start || on[e.to] || len(path)+1 >= maxRing {
					continue
				}
				alive := false
				for m := range on {
					alive = alive || depends(m, e.to) || depends(e.to, m)
				}
				if alive {
					continue
				}
				on[e.to] = true
				path = append(path, e)
				walk(e.to)
				path = path[:len(path)-1]
				delete(on, e.to)
			}
		}
		walk(start)
	}
	return out, steps <= maxSteps
}
