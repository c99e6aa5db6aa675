// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"slices"
	"strings"

	"safeload/internal/plain"
	"safeload/kmod"
)

// Reason is why a module was loaded.
type Reason struct {
	How  Why
	Of   string // the name asked for, or the module that needs it, or whose command is likely to have brought it; may be empty
	Sure bool   // seen; else worked out from indexes and configuration as they are now
}

// Why is the way on which a module came.
type Why string

// The ways.
const (
	ByName    Why = "name"       // it was asked for by its name
	ByAlias   Why = "alias"      // by another name
	AsDep     Why = "dependency" // of a module that came after it
	AsSoftdep Why = "softdep"    // before or after a module that has it as a soft dependency
	ByCommand Why = "command"    // by a process that the kernel's helper has started: an install command, as a rule
	ByProcess Why = "process"    // by a process that was started for it, which no request of the kernel led to
)

// Tree is what a kernel's modules and the configuration say now of names. It reads the indexes; nothing is kept of a load for
// this. The zero value knows nothing.
type Tree struct {
	context *kmod.Context
	plans   map[string]map[string]Reason
}

// OpenTree opens the tree of a kernel's release; without one nothing is worked out.
func OpenTree(release string) *Tree {
	if release == "" || strings.ContainsRune(release, '/') || release[0] == '.' {
		return &Tree{} // a record may be anybody's
	}
	return &Tree{context: kmod.New(kmod.Options{Dir: "/lib/modules/" + release, Regular: true})}
}

// Close frees the indexes. What was explained stays.
func (t *Tree) Close() {
	if t.context != nil {
		t.context.Close()
		t.context, t.plans = nil, nil
	}
}

// mostPlans bounds what is kept: records may be anybody's.
const mostPlans = 20_000

// plan is, for each module that a name may bring, why it does.
func (t *Tree) plan(name string) map[string]Reason {
	if t.context == nil || name == "" {
		return nil
	}
	if p, ok := t.plans[name]; ok {
		return p
	}
	if t.plans == nil || len(t.plans) >= mostPlans {
		t.plans = make(map[string]map[string]Reason)
	}
	p := make(map[string]Reason)
	if list, err := t.context.Lookup(name); err == nil {
		for _, m := range list {
			if !sameModule(m.Name, name) {
				put(p, m.Name, Reason{How: ByAlias, Of: name})
			} else {
				put(p, m.Name, Reason{How: ByName, Of: name})
			}
		}
		for _, m := range list {
			needs(p, m, 0)
		}
	}
	t.plans[name] = p
	return p
}

// put keeps the first reason that is found for a module.
func put(p map[string]Reason, module string, r Reason) bool {
	module = strings.Clone(module) // an index may hold it
	if _, there := p[module]; there {
		return false
	}
	r.Of = strings.Clone(r.Of)
	p[module] = r
	return true
}

// needs adds what is loaded with a module: see [kmod.Module.Plan].
func needs(p map[string]Reason, m *kmod.Module, depth int) {
	deps := m.Deps()
	for _, d := range deps {
		put(p, d.Name, Reason{How: AsDep, Of: m.Name})
	}
	for _, d := range append(slices.Clone(deps), m) {
		pre, post := d.Softdeps()
		for _, s := range append(slices.Clone(pre), post...) {
			if put(p, s.Name, Reason{How: AsSoftdep, Of: d.Name}) && depth < 20 {
				needs(p, s, depth+1)
			}
		}
	}
}

// commandOf is a module that a name brings and that has an install command.
func (t *Tree) commandOf(name string) string {
	if t.context == nil {
		return ""
	}
	list, err := t.context.Lookup(name)
	if err != nil {
		return ""
	}
	for _, m := range list {
		for _, s := range m.Plan(false, "") {
			if s.HasCommand {
				return strings.Clone(s.Module.Name)
			}
		}
	}
	return ""
}

// Explain says why each load of a timeline came.
func (t *Tree) Explain(tl *Timeline) {
	tasks := make(map[uint32][]*Load)
	for _, o := range tl.Loads {
		o.Why = t.Requested(o)
		tasks[o.PID] = append(tasks[o.PID], o)
	}
	for _, loads := range tasks {
		slices.SortStableFunc(loads, func(a, b *Load) int { return cmp.Compare(a.Begin, b.Begin) })
		for i, o := range loads {
			if o.Module != "" && (o.Why == nil || o.Why.How == ByProcess) {
				o.Why = cmp.Or(t.beside(loads, i), o.Why)
			}
		}
	}
}

// Requested says why a load came, as far as that is known from the request from whose helper it comes: of that, other loads of
// its process tell nothing.
func (t *Tree) Requested(o *Load) *Reason {
	q := o.Asked
	switch {
	case o.Module == "":
		return nil
	case q == nil:
		return &Reason{How: ByProcess, Sure: true}
	case q.Helper != 0 && o.PID != q.Helper:
		return &Reason{How: ByCommand, Of: t.commandOf(q.Name), Sure: true}
	case sameModule(q.Name, o.Module):
		return &Reason{How: ByName, Of: q.Name, Sure: true}
	}
	if r, ok := t.plan(q.Name)[underscored(o.Module)]; ok {
		return &r
	}
	return nil
}

// mostBeside is how many loads of one process are looked at before and after one.
const mostBeside = 64

// beside says why a load of a process came, by the next load of it that needs this one and all between; or by the last before.
func (t *Tree) beside(loads []*Load, i int) *Reason {
	module := underscored(loads[i].Module)
	for n := i + 1; n < len(loads) && n <= i+mostBeside; n++ {
		plan := t.plan(underscored(loads[n].Module))
		r, ok := plan[module]
		for _, between := range loads[i+1 : n] {
			if !ok {
				break
			}
			_, ok = plan[underscored(between.Module)]
		}
		if ok && (r.How == AsDep || r.How == AsSoftdep) {
			return &r
		}
	}
	for n := i - 1; n >= 0 && n >= i-mostBeside; n-- {
		if r, ok := t.plan(underscored(loads[n].Module))[module]; ok && r.How == AsSoftdep {
			return &r
		}
	}
	return nil
}

// words say it, for people; empty where there is nothing to say besides who asked.
func (r *Reason) words() string {
	if r == nil {
		return ""
	}
	switch r.How {
	case ByAlias:
		return "likely an alias of it"
	case AsDep:
		return plain.Sprintf("likely a dependency of %s", r.Of)
	case AsSoftdep:
		return plain.Sprintf("likely a soft dependency of %s", r.Of)
	case ByCommand:
		if r.Of == "" {
			return "by a process that the helper started"
		}
		return plain.Sprintf("by a process that the helper started, likely the install command of %s", r.Of)
	}
	return ""
}

// reasonJSON is a Reason.
type reasonJSON struct {
	How  Why    `json:"how"`
	Of   string `json:"of,omitempty"`
	Cert string `json:"certainty"` // seen, likely
}

func (r *Reason) json() *reasonJSON {
	if r == nil {
		return nil
	}
	j := &reasonJSON{r.How, r.Of, "likely"}
	if r.Sure {
		j.Cert = "seen"
	}
	return j
}
