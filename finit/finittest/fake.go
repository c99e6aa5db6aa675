// SPDX-License-Identifier: Apache-2.0

// Package finittest has a kernel to load modules into that is none, for unit
// tests of what decides on loads. Its methods have the signatures of
// [safeload/finit.Load] and [safeload/finit.Unload].
package finittest

import (
	"sync"
	"syscall"

	"safeload/finit"
)

// Call is one request that a [Kernel] got.
type Call struct {
	Op     string // "load" or "unload"
	Path   string
	Name   string
	Params string
	Flags  uint
}

// Kernel keeps a set of live modules by name. The zero value has none and is
// ready to use, by several goroutines at once.
type Kernel struct {
	// OnLoad, if not nil, runs before a load, without the lock: it may block
	// or load other modules. An error ends the load.
	OnLoad func(c Call) error

	mu    sync.Mutex
	live  map[string]bool
	errs  map[string]syscall.Errno
	calls []Call
}

// Fail makes each load and unload of the module name answer errno; 0 undoes
// it.
func (k *Kernel) Fail(name string, errno syscall.Errno) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.errs == nil {
		k.errs = map[string]syscall.Errno{}
	}
	k.errs[name] = errno
}

// Load makes the module name live; EEXIST if it is.
func (k *Kernel) Load(path, name, params string, flags finit.Flags) error {
	c := Call{Op: "load", Path: path, Name: name, Params: params, Flags: uint(flags)}
	fail := func(e syscall.Errno) error {
		return &finit.Error{Op: "finit_module", Module: name, File: path, Errno: e}
	}
	k.mu.Lock()
	k.calls = append(k.calls, c)
	errno := k.errs[name]
	k.mu.Unlock()
	if errno != 0 {
		return fail(errno)
	}
	if k.OnLoad != nil {
		if err := k.OnLoad(c); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.live[name] {
		return fail(syscall.EEXIST)
	}
	if k.live == nil {
		k.live = map[string]bool{}
	}
	k.live[name] = true
	return nil
}

// Unload takes the module name away; ENOENT if it is not live.
func (k *Kernel) Unload(name string, flags finit.UnloadFlags) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls = append(k.calls, Call{Op: "unload", Name: name, Flags: uint(flags)})
	errno := k.errs[name]
	if errno == 0 && !k.live[name] {
		errno = syscall.ENOENT
	}
	if errno != 0 {
		return &finit.Error{Op: "delete_module", Module: name, Errno: errno}
	}
	delete(k.live, name)
	return nil
}

// Live tells whether the module name is loaded.
func (k *Kernel) Live(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.live[name]
}

// Calls returns what was asked so far, in order.
func (k *Kernel) Calls() []Call {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]Call(nil), k.calls...)
}
