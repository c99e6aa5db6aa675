// SPDX-License-Identifier: Apache-2.0

// Package modload loads and removes the modules of a name, in the order and by the
// rules of kmod's libkmod-module.c and modprobe.c. It parses no options and prints
// nothing: it tells a [Teller] what it does, and returns what went wrong.
//
// The program modprobe (internal/modprobe) and the library (package modprobe) both
// use it. The kernel's helper links it: it imports little, and does nothing before
// it is needed.
package modload

import (
	"errors"
	"syscall"

	"safeload/finit"
	"safeload/guard"
	"safeload/internal/strerror"
	"safeload/kmod"
)

// Guard decides whether a module may be submitted to the kernel: a
// [*guard.Guard], or a test's.
type Guard interface {
	// Submit calls submit, or refuses to. [System.Refused] recognises the error
	// of a refusal.
	Submit(l guard.Load, submit func() error) error
	// Command calls run with the environment for an install or remove command
	// of a module, or refuses to. While the command runs, run calls look: at
	// once, and again after as many milliseconds as look returns, until that
	// is negative. If look is nil, run never calls it.
	Command(c guard.Command, env []string, run func(env []string, look func() int) error) error
	Close()
}

// System is what reaches the kernel and other programs.
type System interface {
	// Guard makes the guard for a request, before the first submit or command;
	// nil for none.
	Guard(request string) Guard
	// Refused reports whether an error is the refusal of a [Guard]. The user has
	// been told of that already.
	Refused(error) bool
	// Insert loads the module in the file at path. Errors name it. An error
	// wraps an errno.
	Insert(path, name, params string, flags finit.Flags) error
	// Remove removes a module without waiting; with force, one in use, too. An
	// error wraps an errno.
	Remove(name string, force bool) error
	// Command runs a command by the shell, as system(3) does. It returns the
	// wait status, and an error only if no process could be made. Meanwhile it
	// calls look: see [Guard].
	Command(text string, env []string, look func() int) (status int, err error)
}

// Kernel is what the Systems of the program and of the library have in common.
type Kernel struct{ finit.Loader }

// Refused reports whether an error is the refusal of a [*guard.Guard].
func (Kernel) Refused(err error) bool {
	_, refused := errors.AsType[*guard.Refused](err)
	return refused
}

// Remove is [finit.Unload] as modprobe calls it.
func (Kernel) Remove(name string, force bool) error {
	flags := finit.NonBlock
	if force {
		flags |= finit.Force
	}
	return finit.Unload(name, flags)
}

// Teller is told what is done.
type Teller interface {
	// Slow is called before anything that may take long.
	Slow()
	// Lib gets what libkmod would log.
	Lib(level int, function, text string)
	// Step gets the step of a load that is about to be done.
	Step(*kmod.Step)
	// Removing gets the step of a removal that is about to be done: a word, and
	// a module's name or a command.
	Removing(verb, what string)
	// Failed gets an error of this package where it arises. If Failed returns
	// true, the request ends with that error, as a fatal message ends modprobe.
	Failed(*Error) (stop bool)
}

// Options choose what is done. The zero value is a plain modprobe's.
type Options struct {
	IgnoreLoaded       bool // do not ask whether a module is in the kernel
	IgnoreCommand      bool // neither install nor remove command of the module that is asked for
	IgnoreModversions  bool
	IgnoreVermagic     bool
	DryRun             bool
	FirstTime          bool   // already loaded, or not there to be removed, is an error
	UseBlacklist       bool   // also for a name that is no alias
	Force              bool   // remove what is in use
	RemoveHolders      bool   // and before it what uses it
	RemoveWaitMsec     uint64 // try to remove for so long
	CommandEnvironment Environment
	// PassOn are options for what commands call, by MODPROBE_OPTIONS.
	PassOn []string
}

// Request is one request, in work. One goroutine may use it at a time.
type Request struct {
	Options
	Name    string // what was asked for, for the guard
	Modules *kmod.Context
	System  System
	Teller  Teller

	guard    Guard
	removing []*kmod.Module // whose removal has begun
	stopped  bool
}

// Close ends the guard, if one was made.
func (r *Request) Close() {
	if r.guard != nil {
		r.guard.Close()
		r.guard = nil
	}
}

// Stopped reports whether the [Teller] has ended the request.
func (r *Request) Stopped() bool { return r.stopped }

// Reason is what an [Error] is about.
type Reason uint8

const (
	NotLoaded     Reason = iota // ENOENT
	Builtin                     // ENOENT
	InUse                       // EBUSY
	CommandFailed               // a remove command: EINVAL
	Removal                     // what the kernel said, after a wait
)

// Error is a removal that failed.
type Error struct {
	Reason Reason
	Module string
	Errno  syscall.Errno
}

// Error says what was tried on what and why it failed.
func (e *Error) Error() string {
	text := "module " + e.Module + ": "
	switch e.Reason {
	case NotLoaded:
		return text + "not in the kernel"
	case Builtin:
		return text + "built into the kernel"
	case InUse:
		return text + "in use"
	case CommandFailed:
		return text + "its remove command failed"
	}
	return text + "delete_module: " + strerror.Text(e.Errno)
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Errno }

// fail tells the Teller of an error, and returns it.
func (r *Request) fail(reason Reason, m *kmod.Module, errno syscall.Errno) error {
	err := &Error{reason, m.Name, errno}
	if r.Teller.Failed(err) {
		r.stopped = true
	}
	return err
}

// Errno returns the errno that an error wraps, EINVAL if it wraps none.
func Errno(err error) syscall.Errno {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return syscall.EINVAL
}

// guarded returns the guard, and makes it if there is none yet.
func (r *Request) guarded() Guard {
	if r.guard == nil {
		r.Teller.Slow()
		r.guard = r.System.Guard(r.Name)
		if r.guard == nil {
			r.guard = noGuard{}
		}
	}
	return r.guard
}

type noGuard struct{}

func (noGuard) Submit(_ guard.Load, submit func() error) error { return submit() }
func (noGuard) Command(_ guard.Command, env []string, run func([]string, func() int) error) error {
	return run(env, nil)
}
func (noGuard) Close() {}
