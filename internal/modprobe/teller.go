// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"safeload/internal/modload"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// What package modload tells of, in modprobe's words.

// Slow lets signals end the program, from now on.
func (p *program) Slow() { endBySignals() }

// Lib prints what libkmod logs.
func (p *program) Lib(level int, function, text string) { p.log.lib(level, function, text) }

// Step prints what is about to be done, if asked to.
func (p *program) Step(s *kmod.Step) {
	if !p.show && p.verbose <= kmod.LogWarning {
		return
	}
	switch {
	case s.HasCommand:
		p.out.print("install ", s.Command, " ", s.Options, "\n")
	case s.Module.Path() != "":
		p.out.print("insmod ", s.Module.Path(), " ", s.Options, "\n")
	default:
		if state, _ := p.State(s.Module); state == modload.StateBuiltin {
			p.out.print("builtin ", s.Module.Name, "\n")
		}
	}
}

// Removing prints what is about to be done, if asked to, at once.
func (p *program) Removing(verb, what string) {
	if p.show || p.verbose > kmod.LogWarning {
		p.out.print(verb, " ", what, "\n")
		p.out.flush()
	}
}

// Failed prints why something is not removed.
func (p *program) Failed(err *modload.Error) (stop bool) {
	switch err.Reason {
	case modload.NotLoaded:
		p.fail("Module ", err.Module, " is not in kernel.\n")
	case modload.Builtin:
		p.fail("Module ", err.Module, " is builtin.\n")
	case modload.InUse:
		p.fail("Module ", err.Module, " is in use.\n")
	case modload.CommandFailed:
		p.fail("Error running remove command for ", err.Module, "\n")
	case modload.Removal:
		p.log.err("could not remove '", err.Module, "': ", strerror.Text(err.Errno), "\n")
	}
	return p.ended
}

// fail prints a message that ends the program: all of it, if the message is
// not too quiet to be printed, as kmod has it. With -a it is a warning, which
// ends nothing.
func (p *program) fail(parts ...string) {
	if p.log.log(p.fatal, parts...) && p.fatal <= kmod.LogCrit {
		p.ended = true
	}
}
