// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"
	"sort"
	"strings"

	"safeload/kmod"
)

// resolver says what modprobe loads for a name. It works from the modules
// themselves, so that it needs no index, and follows libkmod's order: aliases of
// the configuration, the module's own name, symbols, install commands, aliases
// of modules (kmod's Context.Lookup); blacklists keep out what was found by an
// alias.
type resolver struct {
	modules map[string]*facts
	exact   map[string][]string // alias to modules
	globs   map[string][]glob   // by the text before the first special character
	symbols map[string]string   // exported symbol to module
	config  *kmod.Config
	black   map[string]bool
	// inside has the exact aliases of what is in the kernel.
	inside map[string]bool
	plans  map[string][]planned

	alias, install, remove, softdep *patterns // of the configuration
}

type glob struct {
	pattern, module string
	by              *facts
}

// fits reports whether a pattern fits a name. Once the patterns of a module have
// cost too much, none of them fits any more; the report lists that module as not
// analysed.
func (g *glob) fits(name string) bool {
	if g.by.compared.left < 0 {
		return false
	}
	if g.by.compared.left -= int64(len(g.pattern)) * int64(len(name)) / 4; g.by.compared.left < 0 {
		if g.by.err == nil {
			g.by.err = ErrTooLarge
		}
		return false
	}
	return kmod.Fnmatch(g.pattern, name)
}

func update(f *facts) bool { return strings.HasPrefix(f.file, "updates/") }

func special(s string) int { return strings.IndexAny(s, "*?[\\") }

func newResolver(all []*facts, config *kmod.Config) *resolver {
	r := &resolver{modules: map[string]*facts{}, exact: map[string][]string{}, globs: map[string][]glob{},
		symbols: map[string]string{}, config: config, black: map[string]bool{},
		inside: map[string]bool{}, plans: map[string][]planned{},
		alias: newPatterns(config.Aliases), install: newPatterns(config.Install),
		remove: newPatterns(config.Remove), softdep: newPatterns(config.Softdeps)}
	for _, f := range all {
		// depmod.d(5): of two with the same name that in updates/ counts.
		if old := r.modules[f.name]; old == nil || update(f) && !update(old) {
			r.modules[f.name] = f
		}
		for _, a := range f.aliases {
			if i := special(a); i >= 0 {
				r.globs[a[:i]] = append(r.globs[a[:i]], glob{a, f.name, f})
			} else if !slices.Contains(r.exact[a], f.name) {
				r.exact[a] = append(r.exact[a], f.name)
			}
		}
		for _, e := range f.exports {
			r.symbols[e] = f.name
		}
	}
	for _, b := range config.Blacklist {
		r.black[kmod.NormalizeName(b)] = true
	}
	return r
}

// match is a module that a name stands for.
type match struct {
	module string
	why    string
	weak   string // what makes it unsure, if anything
}

// lookup gives the modules that a name stands for.
func (r *resolver) lookup(name string) []match {
	return r.through(name, map[*kmod.Directive]bool{})
}

// through is lookup, passing over the install commands that it comes from.
func (r *resolver) through(name string, been map[*kmod.Directive]bool) []match {
	n, err := kmod.NormalizeAlias(name)
	if err != nil {
		return nil
	}
	var out []match
	add := func(module, why string, alias bool) {
		module = kmod.NormalizeName(module)
		if alias && r.black[module] || r.modules[module] == nil {
			return
		}
		for _, m := range out {
			if m.module == module {
				return
			}
		}
		out = append(out, match{module: module, why: why})
	}
	aliases := r.alias.all(n)
	for _, a := range aliases {
		add(a.Value, "alias "+a.Name+" in the configuration", true)
	}
	if len(aliases) > 0 {
		return out
	}
	if r.modules[n] != nil {
		add(n, "its name", false)
		return out
	}
	if s, ok := strings.CutPrefix(name, "symbol:"); ok {
		if m := r.symbols[s]; m != "" {
			add(m, "it exports "+s, true)
		}
		return out
	}
	if d := r.install.first(n); d != nil {
		return r.commanded(d, been)
	}
	for _, m := range r.exact[n] {
		add(m, "its alias "+n, true)
	}
	for i := 0; i <= len(n); i++ {
		for j := range r.globs[n[:i]] {
			if g := &r.globs[n[:i]][j]; g.fits(n) {
				add(g.module, "its alias "+g.pattern, true)
			}
		}
	}
	return out
}

// byCommand is the weak step that an install command is.
const byCommand = "an install command is only read for what it has modprobe load"

// commanded gives the modules that an install command loads, each command once.
func (r *resolver) commanded(d *kmod.Directive, been map[*kmod.Directive]bool) (out []match) {
	if been[d] {
		return nil
	}
	been[d] = true
	for _, c := range commandLoads(d.Value) {
		for _, m := range r.through(c.name, been) {
			out = append(out, match{m.module, "install " + d.Name + " in the configuration loads " + c.name + ": " + m.why, byCommand})
		}
	}
	return out
}

// candidates gives the modules that a name with holes ('*') may stand for.
func (r *resolver) candidates(pattern string) (out []match) {
	n, err := kmod.NormalizeAlias(pattern)
	if err != nil {
		return nil
	}
	for _, a := range r.config.Aliases {
		if kmod.Fnmatch(n, a.Name) && r.modules[kmod.NormalizeName(a.Value)] != nil {
			out = append(out, match{module: kmod.NormalizeName(a.Value), why: "alias " + a.Name + " in the configuration"})
		}
	}
	for a, ms := range r.exact {
		if strings.HasPrefix(a, n[:special(n)]) && kmod.Fnmatch(n, a) {
			for _, m := range ms {
				if !r.black[m] {
					out = append(out, match{module: m, why: "its alias " + a})
				}
			}
		}
	}
	for m := range r.modules {
		if strings.HasPrefix(m, n[:special(n)]) && kmod.Fnmatch(n, m) {
			out = append(out, match{module: m, why: "its name"})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].module != out[j].module {
			return out[i].module < out[j].module
		}
		return out[i].why < out[j].why
	})
	return slices.CompactFunc(out, func(a, b match) bool { return a.module == b.module })
}

// softdeps of a module: of the configuration if it has a line for it, else its
// own.
func (r *resolver) softdeps(module string) (pre, post []string) {
	if d := r.softdep.first(module); d != nil {
		s := kmod.ParseSoftdep(d.Value)
		return s.Pre, s.Post
	}
	if f := r.modules[module]; f != nil {
		for _, t := range f.softdeps {
			s := kmod.ParseSoftdep(t)
			pre, post = append(pre, s.Pre...), append(post, s.Post...)
		}
	}
	return pre, post
}

// depends gives the modules that must be there before a module is, all of them.
func (r *resolver) depends(module string) map[string]bool {
	out := map[string]bool{}
	var add func(m string)
	add = func(m string) {
		f := r.modules[m]
		if f == nil {
			return
		}
		for _, d := range f.depends {
			if !out[d] && r.modules[d] != nil {
				out[d] = true
				add(d)
			}
		}
	}
	add(module)
	return out
}

// planned is a module that is loaded with another.
type planned struct {
	module string
	weak   string
}

// plan gives all modules that modprobe waits for when it loads one: with its
// dependencies, soft dependencies before and after it, and what an install
// command in place of a module loads, as far as that can be read from it.
func (r *resolver) plan(module string) []planned {
	if p, ok := r.plans[module]; ok {
		return p
	}
	seen := map[string]bool{}
	var out []planned
	var add func(m, weak string)
	add = func(m, weak string) {
		if seen[m] || r.modules[m] == nil {
			return
		}
		seen[m] = true
		if d := r.install.first(m); d != nil {
			itself := false
			var others []match
			for _, c := range commandLoads(d.Value) {
				if c.direct && kmod.NormalizeName(c.name) == m {
					itself = true
					continue
				}
				others = append(others, r.lookup(c.name)...)
			}
			if itself {
				out = append(out, planned{m, weak})
			}
			for _, o := range others {
				add(o.module, byCommand)
			}
			return
		}
		pre, post := r.softdeps(m)
		for _, s := range pre {
			for _, t := range r.lookup(s) {
				add(t.module, weak+t.weak)
			}
		}
		for _, d := range r.modules[m].depends {
			add(d, weak)
		}
		out = append(out, planned{m, weak})
		for _, s := range post {
			for _, t := range r.lookup(s) {
				add(t.module, weak+t.weak)
			}
		}
	}
	add(module, "")
	r.plans[module] = out
	return out
}
