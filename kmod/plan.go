// SPDX-License-Identifier: Apache-2.0

package kmod

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
