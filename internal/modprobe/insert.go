// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"strconv"
	"syscall"

	"safeload/finit"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// resolve finds the modules of a name, or the one of a path.
func (p *program) resolve(name string) (list []*kmod.Module, err error) {
	if hasPrefix(name, "/") || hasPrefix(name, "./") {
		m, err := p.ctx.ByPath(name)
		if err != nil {
			p.log.log(p.fatal, "Failed to get module from path ", name, ": ", strerror.Text(errnoOf(err)), "\n")
			return nil, syscall.ENOENT
		}
		return []*kmod.Module{m}, nil
	}
	list, err = p.ctx.Lookup(name)
	if err != nil {
		p.log.log(p.fatal, "Module ", name, " not found in directory ", p.ctx.Dir, "\n")
		return nil, syscall.ENOENT
	}
	return list, nil
}

// insert loads all modules that a name stands for. The last one's result is
// the result.
func (p *program) insert(name, params string) (err error) {
	defer p.ctx.Forget()
	p.request = name
	list, err := p.resolve(name)
	for _, m := range list {
		err = p.insertModule(m, params)
	}
	return err
}

func (p *program) insertModule(m *kmod.Module, params string) error {
	if p.lookupOnly {
		p.out.print(m.Name, "\n")
		return nil
	}
	err := p.probe(m, params)
	if err == nil || p.env.Reported != nil && p.env.Reported(err) {
		return err
	}
	switch e := errnoOf(err); e {
	case syscall.EEXIST:
		p.log.err("could not insert '", m.Name, "': Module already in kernel\n")
	case syscall.ENOENT:
		p.log.err("could not insert '", m.Name, "': Unknown symbol in module, or unknown parameter (see dmesg)\n")
	default:
		p.log.err("could not insert '", m.Name, "': ", strerror.Text(e), "\n")
	}
	return err
}

// probe loads m and what it needs, as kmod_module_probe_insert_module.
func (p *program) probe(m *kmod.Module, params string) error {
	if !p.ignoreLoaded && p.inKernel(m) {
		if p.firstTime {
			return syscall.EEXIST
		}
		return nil
	}
	if m.Blacklisted() && (m.FromAlias() || p.useBlacklist) {
		return nil
	}
	var err error
	for _, s := range m.Plan(p.ignoreCommand, params) {
		if !p.ignoreLoaded && p.inKernel(s.Module) {
			err = syscall.EEXIST
		} else {
			p.printStep(&s)
			if !p.dryRun {
				err = p.do(&s)
			}
		}
		switch {
		case err == nil:
		case errnoOf(err) == syscall.EEXIST && s.Module == m && p.firstTime:
			return err
		case errnoOf(err) == syscall.EEXIST || !s.Required:
			err = nil
		default:
			return err
		}
	}
	return nil
}

// printStep prints what is about to be done.
func (p *program) printStep(s *kmod.Step) {
	if !p.show && p.verbose <= kmod.LogWarning {
		return
	}
	switch {
	case s.HasCommand:
		p.out.print("install ", s.Command, " ", s.Options, "\n")
	case s.Module.Path() != "":
		p.out.print("insmod ", s.Module.Path(), " ", s.Options, "\n")
	default:
		if state, _ := p.state(s.Module); state == stateBuiltin {
			p.out.print("builtin ", s.Module.Name, "\n")
		}
	}
}

func (p *program) do(s *kmod.Step) error {
	m := s.Module
	if s.HasCommand {
		return p.installCommand(m, expandOptions(s.Command, s.Options))
	}
	return p.submit(m, s.Options)
}

// submit is kmod_module_insert_module: one module, into the kernel.
func (p *program) submit(m *kmod.Module, params string) error {
	path := m.Path()
	if path == "" {
		p.log.lib(kmod.LogErr, "kmod_module_insert_module", "could not find module by name='"+m.Name+"'\n")
		return syscall.ENOENT
	}
	var flags uint
	if p.force || p.forceModver {
		flags |= IgnoreModversions
	}
	if p.force || p.forceVermagic {
		flags |= IgnoreVermagic
	}
	err := p.guarded().Submit(m.Name, path, func() error {
		return p.env.Insert(path, m.Name, params, flags)
	})
	p.tellDamage(err)
	if err != nil && !unread(err) && (p.env.Reported == nil || !p.env.Reported(err)) {
		p.log.lib(kmod.LogInfo, "kmod_module_insert_module",
			"Failed to insert module '"+path+"': "+strerror.Text(errnoOf(err))+"\n")
	}
	return err
}

// unread says that the file could not be opened or was too short, of which
// libkmod tells the caller only.
func unread(err error) bool {
	e, ok := err.(*finit.Error)
	return ok && (e.Op == "open" || e.Op == "read")
}

// guarded returns the guard, made at the first need.
func (p *program) guarded() Guard {
	if p.guard == nil {
		endBySignals()
		if p.env.Guard != nil {
			p.guard = p.env.Guard(p.request)
		}
		if p.guard == nil {
			p.guard = noGuard{}
		}
	}
	return p.guard
}

type noGuard struct{}

func (noGuard) Submit(_, _ string, submit func() error) error { return submit() }
func (noGuard) Command(_, _, _ string, env []string, run func([]string, func() int) error) error {
	return run(env, nil)
}
func (noGuard) Close() {}

// run runs a command of the configuration by the shell, with the module's name
// in MODPROBE_MODULE.
func (p *program) run(kind, module, command string) (status int, err error) {
	for _, o := range p.passOn {
		p.vars.appendOptions(o)
	}
	p.passOn = nil
	p.vars.set("MODPROBE_MODULE", module)
	err = p.guarded().Command(kind, module, command, p.vars, func(env []string, look func() int) error {
		status, err = system(command, env, look)
		return err
	})
	p.vars.unset("MODPROBE_MODULE")
	return status, err
}

// installCommand is command_do of libkmod.
func (p *program) installCommand(m *kmod.Module, command string) error {
	status, err := p.run("install", m.Name, command)
	if err != nil {
		if p.env.Reported != nil && p.env.Reported(err) {
			return err
		}
		p.log.lib(kmod.LogErr, "command_do", "Could not run install command '"+command+
			"' for module "+m.Name+": "+strerror.Text(errnoOf(err))+"\n")
		return syscall.EINVAL
	}
	if code := exitStatusOf(status); code != 0 {
		p.log.lib(kmod.LogErr, "command_do", "Error running install command '"+command+
			"' for module "+m.Name+": retcode "+strconv.Itoa(code)+"\n")
		return syscall.EINVAL
	}
	return nil
}
