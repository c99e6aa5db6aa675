// SPDX-License-Identifier: Apache-2.0

package kmod

// The third step of a load: what is to be done for a module, in which order and with
// which options. Before it lookup.go has made modules of a name; after it
// internal/modload/load.go does each of these.

// Step is one module of a [Plan].
type Step struct {
	Module *Module
	// Options are the parameters to load it with.
	Options string
	// Command is to be run in place of loading, if HasCommand.
	Command    string
	HasCommand bool
	// Required is false for soft dependencies, whose failure is no failure
	// of the plan.
	Required bool
}

// Plan returns what is to be done for m, in this order: dependencies and soft
// dependencies included, m itself loaded with extra after its own options.
// With ignoreCommand neither m's install command nor its own soft dependencies
// count; those of its dependencies do.
func (m *Module) Plan(ignoreCommand bool, extra string) []Step {
	m.ctx.plan++
	list := m.probe(nil, true, ignoreCommand)
	steps := make([]Step, len(list))
	for i, o := range list {
		s := &steps[i]
		s.Module, s.Options, s.Required = o, o.Options(), o.required == m.ctx.plan
		if s.Options != "" {
			s.Options += " " // with or without more to come, as libkmod
		}
		if o == m {
			s.Options += extra
		}
		if cmd, ok := o.Install(); ok && !o.ignoreOwnCmd {
			s.Command, s.HasCommand = cmd, true
		}
	}
	return steps
}

// probe appends m with everything that goes before and after it.
func (m *Module) probe(list []*Module, required, ignoreCommand bool) []*Module {
	if m.visited == m.ctx.plan {
		return list
	}
	m.visited = m.ctx.plan
	deps := m.Deps()
	if required {
		m.required = m.ctx.plan
		for _, d := range deps {
			d.required = m.ctx.plan
		}
	}
	for _, d := range deps {
		list = d.withSoftdeps(list)
	}
	if ignoreCommand {
		m.ignoreOwnCmd = true
		return append(list, m)
	}
	return m.withSoftdeps(list)
}

func (m *Module) withSoftdeps(list []*Module) []*Module {
	pre, post := m.Softdeps()
	for _, s := range pre {
		list = s.probe(list, false, false)
	}
	list = append(list, m)
	// A module with soft dependencies is loaded itself, not by its install
	// command: the command would load them again.
	m.ignoreOwnCmd = pre != nil || post != nil
	for _, s := range post {
		list = s.probe(list, false, false)
	}
	return list
}

// Options are the parameters that all options lines of the configuration give
// the module or the alias under which it was found.
func (m *Module) Options() string {
	if m.optionsRead {
		return m.options
	}
	m.optionsRead = true
	var all []byte // of more than one line
	for _, o := range m.ctx.Config.Options {
		switch {
		case o.Value == "" || o.Name != m.Name && !(m.fromAlias && o.Name == m.Alias):
		case m.options == "":
			m.options = o.Value
		default:
			if all == nil {
				all = append(make([]byte, 0, 256), m.options...)
			}
			all = append(append(all, ' '), o.Value...)
		}
	}
	if all != nil {
		m.options = bstr(all)
	}
	return m.options
}

// Install returns the command to run instead of loading the module.
func (m *Module) Install() (cmd string, ok bool) {
	return m.command(&m.install, m.ctx.Config.Install)
}

func (m *Module) command(cmd *command, list []Directive) (string, bool) {
	if !cmd.read {
		cmd.read = true
		if d := m.first(list); d != nil {
			cmd.text, cmd.found = d.Value, true
		}
	}
	return cmd.text, cmd.found
}

// first returns the first directive whose pattern matches the module.
func (m *Module) first(list []Directive) *Directive {
	for i := range list {
		if Fnmatch(list[i].Name, m.Name) {
			return &list[i]
		}
	}
	return nil
}

// Softdeps returns the modules to be loaded before and after m, by the first
// softdep line that matches.
func (m *Module) Softdeps() (pre, post []*Module) {
	if d := m.first(m.ctx.Config.Softdeps); d != nil {
		s := ParseSoftdep(d.Value)
		pre, post = m.ctx.lookupAll(s.Pre), m.ctx.lookupAll(s.Post)
	}
	return pre, post
}
