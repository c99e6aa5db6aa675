// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"errors"
	"strings"
	"syscall"

	"safeload/guard"
	"safeload/internal/modload"
	"safeload/kmod"
)

// What [errors.Is] finds in an [*Error], beside errnos.
var (
	// ErrNotFound: the name stands for nothing. ENOENT.
	ErrNotFound error = kmod.ErrNotFound
	// ErrBlacklisted: the configuration does not let it load by this name.
	ErrBlacklisted error = modload.ErrBlacklisted
	// ErrRefused: the load would have waited for itself. EDEADLK.
	ErrRefused = errors.New("refused, because the load would wait for itself")
	// ErrInUse: something uses the module. EBUSY.
	ErrInUse = errors.New("in use")
	// ErrBuiltin: the module is part of the kernel. ENOENT.
	ErrBuiltin = errors.New("built into the kernel")
	// ErrNotLoaded: there is nothing to remove. ENOENT.
	ErrNotLoaded = errors.New("not in the kernel")
)

// Error is a request that failed.
type Error struct {
	Op     string // "lookup", "plan", "load" or "unload"
	Name   string // what was asked for
	Module string // which of the modules that it stands for; empty: all
	Err    error
}

// Error says what was tried, on what, and why it failed.
func (e *Error) Error() string {
	text := "modprobe: " + e.Op + " " + e.Name
	if e.Module != "" && e.Module != e.Name {
		text += " (" + e.Module + ")"
	}
	return text + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CommandError is an install command of the configuration that failed. Its errno
// is EINVAL, as libkmod has it.
type CommandError struct {
	Module, Command string
	Status          int   // its exit status, if Err is nil
	Err             error // why it could not be run to its end
}

// Error says which command failed and how.
func (e *CommandError) Error() string {
	m := modload.CommandError(*e)
	return m.Error()
}

// Unwrap gives EINVAL, and the cause if there is one.
func (e *CommandError) Unwrap() []error {
	m := modload.CommandError(*e)
	return m.Unwrap()
}

// public makes what package modload returns an error of this package, with no
// string of an index in it.
func public(err error) error {
	if e, ok := errors.AsType[*modload.CommandError](err); ok {
		return &CommandError{strings.Clone(e.Module), strings.Clone(e.Command), e.Status, e.Err}
	}
	return err
}

// Is finds the sentinels of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrRefused, error(syscall.EDEADLK):
		_, refused := errors.AsType[*guard.Refused](e.Err)
		return refused
	case ErrInUse, ErrBuiltin, ErrNotLoaded:
		m, ok := errors.AsType[*modload.Error](e.Err)
		return ok && map[modload.Reason]error{
			modload.InUse: ErrInUse, modload.Builtin: ErrBuiltin, modload.NotLoaded: ErrNotLoaded,
		}[m.Reason] == target
	}
	return false
}
