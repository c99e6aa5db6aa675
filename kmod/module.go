// SPDX-License-Identifier: Apache-2.0

package kmod

import "syscall"

// Module is one module of the tree, or one that only the configuration knows.
type Module struct {
	// Name in the kernel's spelling.
	Name string
	// Alias under which it was found; empty if by its own name or path.
	Alias string

	ctx       *Context
	fromAlias bool
	path      string
	deps      []*Module
	depsRead  bool

	builtin      bool
	builtinKnown bool

	options      string
	optionsRead  bool
	install      command
	remove       command
	visited      int // the last plan that came by
	required     int // the last plan that requires it
	ignoreOwnCmd bool
}

type command struct {
	text  string
	found bool
	read  bool
}

// poolKey is what makes two modules of the pool the same.
type poolKey struct {
	name, alias string
	fromAlias   bool
}

func (m *Module) key() poolKey { return poolKey{m.Name, m.Alias, m.fromAlias} }

// fewModules is up to how many modules are searched one by one. A request rarely
// knows more, and the first use of a map is dear.
const fewModules = 32

// get returns the module with this name and alias, creating it if need be.
func (c *Context) get(name, alias string, fromAlias bool) *Module {
	if c.byKey != nil {
		if m := c.byKey[poolKey{name, alias, fromAlias}]; m != nil {
			return m
		}
	} else {
		for _, m := range c.pool {
			if m.Name == name && m.fromAlias == fromAlias && m.Alias == alias {
				return m
			}
		}
	}
	m := &Module{Name: name, Alias: alias, fromAlias: fromAlias, ctx: c}
	switch {
	case c.byKey != nil:
		c.byKey[m.key()] = m
	case len(c.pool) < fewModules:
		c.pool = append(c.pool, m)
	default:
		c.byKey = make(map[poolKey]*Module, 4*fewModules)
		for _, o := range append(c.pool, m) {
			c.byKey[o.key()] = o
		}
	}
	return m
}

// ByName returns the module called name, whether it exists or not.
func (c *Context) ByName(name string) *Module {
	return c.get(NormalizeName(name), "", false)
}

// byAlias returns the module target found under alias. Neither is normalized.
func (c *Context) byAlias(alias, target string) (*Module, error) {
	if len(target)+len(alias)+2 > maxName+1 {
		return nil, syscall.ENAMETOOLONG
	}
	return c.get(target, alias, true), nil
}

// Path of the module's file, empty if there is none.
func (m *Module) Path() string {
	if m.path == "" {
		m.readDeps()
	}
	return m.path
}

// Deps are the modules that m needs, in the order in which they must be
// loaded.
func (m *Module) Deps() []*Module {
	m.readDeps()
	return m.deps
}

func (m *Module) readDeps() {
	if m.depsRead {
		return
	}
	if line, ok := m.ctx.search(indexDep, m.Name); ok {
		m.parseDeps(line)
	}
}

// parseDeps takes "path: dep dep…" of modules.dep. The file lists the nearest
// dependency first.
func (m *Module) parseDeps(line string) {
	if m.depsRead {
		return
	}
	m.depsRead = true
	colon := -1
	for i := 0; i < len(line); i++ {
		if line[i] == ':' {
			colon = i
			break
		}
	}
	if colon < 0 {
		return
	}
	c := m.ctx
	join := func(p string) (string, bool) {
		if p != "" && p[0] == '/' {
			return p, true
		}
		p = c.Dir + "/" + p
		return p, len(p) < maxName
	}
	if m.path == "" {
		path, ok := join(line[:colon])
		if !ok {
			return
		}
		m.path = path
	}
	rest := line[colon+1:]
	n := 0
	for i := 0; i < len(rest); i++ {
		if rest[i] == ' ' || rest[i] == '\t' {
			n++
		}
	}
	deps := make([]*Module, 0, n+1)
	for rest != "" {
		var w string
		if w, rest = word(rest); w == "" {
			break
		}
		path, ok := join(w)
		if !ok {
			c.Log(LogErr, "kmod_module_parse_depline",
				"could not join path '"+c.Dir+"' and '"+w+"'.\n")
			m.depsRead = false
			return
		}
		dep, err := c.ByPath(path)
		if err != nil {
			c.Log(LogErr, "kmod_module_parse_depline",
				"ctx=0x1 path="+path+" error="+text(err)+"\n")
			m.depsRead = false
			return
		}
		deps = append(deps, dep)
	}
	for i, j := 0, len(deps)-1; i < j; i, j = i+1, j-1 {
		deps[i], deps[j] = deps[j], deps[i]
	}
	m.deps = deps
}

// Builtin reports whether modules.builtin names the module.
func (m *Module) Builtin() bool {
	if !m.builtinKnown {
		_, m.builtin = m.ctx.search(indexBuiltin, m.Name)
		m.builtinKnown = true
	}
	return m.builtin
}

func (m *Module) setBuiltin() { m.builtin, m.builtinKnown = true, true }

// Blacklisted reports whether a blacklist line names the module.
func (m *Module) Blacklisted() bool {
	for _, name := range m.ctx.Config.Blacklist {
		if name == m.Name {
			return true
		}
	}
	return false
}

// FromAlias reports whether the module was found under an alias.
func (m *Module) FromAlias() bool { return m.fromAlias }

// Remove returns the command to run instead of removing the module.
func (m *Module) Remove() (cmd string, ok bool) {
	return m.command(&m.remove, m.ctx.Config.Remove)
}
