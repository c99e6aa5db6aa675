// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"syscall"

	"safeload/finit"
	"safeload/guard"
	"safeload/internal/proc"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// The fourth step of a load: each step of the plan is done. Before it kmod/plan.go has
// made the plan; after it guard/submit.go gets each module that is to be loaded.

// ErrBlacklisted says that the configuration does not let a module be loaded by
// the name that was asked for. modprobe says nothing of it.
const ErrBlacklisted = blacklisted("blacklisted by the configuration")

type blacklisted string

func (e blacklisted) Error() string { return string(e) }

// Load loads m and what it needs, as kmod_module_probe_insert_module does. A step
// before m that fails matters only if m requires it.
func (r *Request) Load(m *kmod.Module, params string) error {
	if !r.IgnoreLoaded && r.inKernel(m) {
		if r.FirstTime {
			return syscall.EEXIST
		}
		return nil
	}
	if m.Blacklisted() && (m.FromAlias() || r.UseBlacklist) {
		return ErrBlacklisted
	}
	var err error
	for _, s := range m.Plan(r.IgnoreCommand, params) {
		if !r.IgnoreLoaded && r.inKernel(s.Module) {
			err = syscall.EEXIST
		} else {
			r.Teller.Step(&s)
			if !r.DryRun {
				err = r.do(&s)
			}
		}
		switch {
		case err == nil:
		case Errno(err) == syscall.EEXIST && s.Module == m && r.FirstTime:
			return err
		case Errno(err) == syscall.EEXIST || !s.Required:
			err = nil
		default:
			return err
		}
	}
	return nil
}

// inKernel reports whether a module is in the kernel already.
func (r *Request) inKernel(m *kmod.Module) bool {
	if m.Builtin() {
		return true
	}
	s, _ := r.State(m)
	return s == proc.Live
}

func (r *Request) do(s *kmod.Step) error {
	m := s.Module
	if s.HasCommand {
		return r.installCommand(m, expandOptions(s.Command, s.Options))
	}
	return r.Submit(m, s.Options)
}

// Submit gives one module to the kernel, as kmod_module_insert_module does.
func (r *Request) Submit(m *kmod.Module, params string) error {
	path := m.Path()
	if path == "" {
		r.Teller.Lib(kmod.LogErr, "kmod_module_insert_module", "could not find module by name='"+m.Name+"'\n")
		return syscall.ENOENT
	}
	var flags finit.Flags
	if r.IgnoreModversions {
		flags |= finit.IgnoreModversions
	}
	if r.IgnoreVermagic {
		flags |= finit.IgnoreVermagic
	}
	err := r.guarded().Submit(guard.Load{Module: m.Name, Path: path}, func() error {
		return r.System.Insert(path, m.Name, params, flags)
	})
	TellDamage(r.Teller, err)
	if err != nil && !unread(err) && !r.System.Refused(err) {
		r.Teller.Lib(kmod.LogInfo, "kmod_module_insert_module",
			"Failed to insert module '"+path+"': "+strerror.Text(Errno(err))+"\n")
	}
	return err
}

// unread reports whether the file could not be opened or was too short. libkmod
// prints nothing about these two, and only returns them.
func unread(err error) bool {
	e, ok := err.(*finit.Error)
	return ok && (e.Op == "open" || e.Op == "read")
}
