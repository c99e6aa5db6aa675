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
		if s.Module.Builtin() {
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

// Failed prints why something is not removed, and tells whether that ends the
// program.
func (p *program) Failed(err *modload.Error) (stop bool) {
	switch err.Reason {
	case modload.NotLoaded:
		return p.fail(err, "Module ", err.Module, " is not in kernel.\n") == errFatal
	case modload.Builtin:
		return p.fail(err, "Module ", err.Module, " is builtin.\n") == errFatal
	case modload.InUse:
		return p.fail(err, "Module ", err.Module, " is in use.\n") == errFatal
	case modload.CommandFailed:
		return p.fail(err, "Error running remove command for ", err.Module, "\n") == errFatal
	case modload.Removal:
		p.log.err("could not remove '", err.Module, "': ", strerror.Text(err.Errno), "\n")
	}
	return false
}

// errFatal is the error after a message that ends the program. It goes up to
// [Main] through all that return an error.
var errFatal error = fatalError{}

type fatalError struct{}

func (fatalError) Error() string { return "a fatal message was printed" }

// fail prints why err ends the program, and returns errFatal. It ends nothing,
// and err is returned, with -a, which makes the message a warning, and if the
// message is too quiet to be printed, as kmod has it.
func (p *program) fail(err error, parts ...string) error {
	if p.log.log(p.fatal, parts...) && p.fatal <= kmod.LogCrit {
		return errFatal
	}
	return err
}
