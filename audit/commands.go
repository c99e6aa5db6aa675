// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"safeload/kmod"
)

// patterns are the names of directives, to be found without a look at each.
type patterns struct {
	exact map[string][]int
	globs []int
	list  []kmod.Directive
}

func newPatterns(list []kmod.Directive) *patterns {
	p := &patterns{exact: map[string][]int{}, list: list}
	for i, d := range list {
		if special(d.Name) >= 0 {
			p.globs = append(p.globs, i)
		} else {
			p.exact[d.Name] = append(p.exact[d.Name], i)
		}
	}
	return p
}

// all gives the directives that fit a name, in their order.
func (p *patterns) all(name string) (fits []*kmod.Directive) {
	at := slices.Clone(p.exact[name])
	for _, i := range p.globs {
		if kmod.Fnmatch(p.list[i].Name, name) {
			at = append(at, i)
		}
	}
	sort.Ints(at)
	for _, i := range at {
		fits = append(fits, &p.list[i])
	}
	return fits
}

// first gives the one that counts where only one does, nil if none fits.
func (p *patterns) first(name string) *kmod.Directive {
	if all := p.all(name); len(all) > 0 {
		return all[0]
	}
	return nil
}

// running is the command of a module: what modprobe runs in place of loading or
// removing it.
type running struct{ kind, module string }

// leads is a way from one command to another that its modprobe runs.
type leads struct {
	to   running
	call string // what the command has modprobe load or remove
	why  string
}

// commandLoops finds the install and remove commands that lead back to
// themselves, which kmod follows for ever, and the guard refuses. It takes
// nothing to be loaded that the command would load.
func commandLoops(r *resolver) (out []Finding) {
	g := &commandGraph{r: r, edges: map[running][]leads{}}
	for _, kind := range []string{"install", "remove"} {
		list := r.directives(kind)
		for i, d := range list.list {
			if special(d.Name) < 0 && list.exact[d.Name][0] == i {
				g.add(running{kind, d.Name})
			}
		}
		if len(list.globs) > 0 {
			for m := range r.modules {
				if list.first(m) != nil {
					g.add(running{kind, m})
				}
			}
		}
	}
	for _, ring := range g.rings() {
		out = append(out, g.finding(ring))
	}
	return out
}

func (r *resolver) directives(kind string) *patterns {
	if kind == "install" {
		return r.install
	}
	return r.remove
}

type commandGraph struct {
	r     *resolver
	edges map[running][]leads
	order []running
}

func (g *commandGraph) add(c running) {
	if _, had := g.edges[c]; had {
		return
	}
	d := g.r.directives(c.kind).first(c.module)
	if d == nil {
		return
	}
	var ways []leads
	for _, call := range commandCalls(d.Value) {
		ways = append(ways, g.commandsOf(call)...)
	}
	g.edges[c] = ways
	g.order = append(g.order, c)
}

// commandsOf gives the commands that one call of modprobe may run.
func (g *commandGraph) commandsOf(call commanded) (out []leads) {
	kind := "install"
	if call.remove {
		kind = "remove"
	}
	list := g.r.directives(kind)
	seen := map[string]bool{}
	var plan func(m, why string, ignore bool)
	whole := func(m, why string) {
		pre, post := g.r.softdeps(m)
		for _, s := range append(slices.Clone(pre), post...) {
			for _, t := range g.r.stands(s) {
				plan(t, why+", soft dependency "+s+" of "+m, false)
			}
		}
		// One with soft dependencies is loaded itself: see Module.Plan in kmod.
		if (kind == "remove" || len(pre)+len(post) == 0) && list.first(m) != nil {
			out = append(out, leads{running{kind, m}, call.name, why})
		}
	}
	plan = func(m, why string, ignore bool) {
		if seen[m] {
			return
		}
		seen[m] = true
		if kind == "install" {
			for d := range g.r.depends(m) {
				whole(d, why+", dependency "+d+" of "+m)
			}
		}
		if !ignore {
			whole(m, why)
		}
	}
	for _, m := range g.r.stands(call.name) {
		why := "its name"
		if m != kmod.NormalizeName(call.name) {
			why = "an alias"
		}
		plan(m, why, call.direct)
	}
	slices.SortFunc(out, func(a, b leads) int {
		return cmp.Or(strings.Compare(a.to.module, b.to.module), strings.Compare(a.why, b.why))
	})
	return out
}

// stands gives the modules, there or not, that modprobe runs for a name.
func (r *resolver) stands(name string) (out []string) {
	n, err := kmod.NormalizeAlias(name)
	if err != nil {
		return nil
	}
	aliases := r.alias.all(n)
	for _, a := range aliases {
		if m := kmod.NormalizeName(a.Value); !r.black[m] {
			out = append(out, m)
		}
	}
	switch {
	case len(aliases) > 0:
	case r.modules[n] != nil, len(r.install.exact[n]) > 0, len(r.remove.exact[n]) > 0:
		out = append(out, n)
	default:
		for _, m := range r.lookup(name) {
			out = append(out, m.module)
		}
	}
	return out
}

// rings gives one ring, the shortest from its first command, of each set of
// commands that all lead to each other.
func (g *commandGraph) rings() (out [][]running) {
	slices.SortFunc(g.order, func(a, b running) int {
		return cmp.Or(strings.Compare(a.kind, b.kind), strings.Compare(a.module, b.module))
	})
	set := g.sets()
	done := map[int]bool{}
	for _, start := range g.order {
		if done[set[start]] {
			continue
		}
		done[set[start]] = true
		from := map[running]running{}
		queue := []running{start}
		for len(queue) > 0 {
			at := queue[0]
			queue = queue[1:]
			for _, e := range g.edges[at] {
				if _, had := from[e.to]; !had && set[e.to] == set[start] {
					from[e.to] = at
					queue = append(queue, e.to)
				}
			}
		}
		if last, is := from[start]; is {
			ring := []running{start}
			for at := last; at != start; at = from[at] {
				ring = append(ring, at)
			}
			slices.Reverse(ring[1:])
			out = append(out, ring)
		}
	}
	return out
}

// sets numbers the commands, alike those that all lead to each other (Tarjan's
// strongly connected components).
func (g *commandGraph) sets() map[running]int {
	set, index, low := map[running]int{}, map[running]int{}, map[running]int{}
	var stack []running
	var visit func(c running)
	visit = func(c running) {
		index[c] = len(index) + 1
		low[c] = index[c]
		stack = append(stack, c)
		for _, e := range g.edges[c] {
			if index[e.to] == 0 {
				visit(e.to)
				low[c] = min(low[c], low[e.to])
			} else if set[e.to] == 0 {
				low[c] = min(low[c], index[e.to])
			}
		}
		for low[c] == index[c] && set[c] == 0 {
			last := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			set[last] = index[c]
		}
	}
	for _, c := range g.order {
		if index[c] == 0 {
			visit(c)
		}
	}
	return set
}

func (g *commandGraph) finding(ring []running) Finding {
	f := Finding{Module: ring[0].module, Command: ring[0].kind}
	if m := g.r.modules[f.Module]; m != nil {
		f.File = m.file
	}
	for i, c := range ring {
		next := ring[(i+1)%len(ring)]
		d := g.r.directives(c.kind).first(c.module)
		at := slices.IndexFunc(g.edges[c], func(e leads) bool { return e.to == next })
		e := g.edges[c][at]
		h := Hop{Module: c.module, Request: e.call, Route: []string{c.kind + " " + d.Name + " " + d.Value},
			Match: next.module, Why: e.why, Loads: next.module}
		if !kmod.PlainCommand(d.Value) {
			f.Rank, h.Weak = Likely, []string{byShell}
		}
		f.Hops = append(f.Hops, h)
	}
	return f
}

// byShell is what makes a ring of commands unsure.
const byShell = "the command is more than one call of modprobe: what else is in it may end the ring"
