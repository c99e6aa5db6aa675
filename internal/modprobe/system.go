// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"errors"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard"
	"safeload/internal/modload"
	"safeload/internal/registry"
	"safeload/internal/version"
	"safeload/kmod"
)

// process is what there is once: in the program's zeroed pages, where it costs
// less than in the heap of a program that lives for so short a time.
var process struct {
	env     Env
	program program
	kmod    kmod.Context
	running running
}

// context makes the program's view of a module tree.
func (p *program) context(o kmod.Options) {
	if p != &process.program {
		p.Modules = kmod.New(o)
		return
	}
	p.Modules = &process.kmod
	p.Modules.Init(o)
}

// Running is the Env of the running system: modules go through the guard to
// the kernel. environ is that of the process; nothing is done yet.
// unpack decompresses modules that the kernel does not.
func Running(args, environ []string, unpack finit.Unpacker) *Env {
	process.running.Unpack = unpack
	process.env = Env{Args: args, Environ: environ, Version: version.Version, System: &process.running, Loader: &process.running}
	return &process.env
}

// running is the running system.
type running struct{ modload.Kernel }

func (r *running) Guard(request string) modload.Guard {
	if unix.Geteuid() != 0 {
		return nil // cannot load anything: the kernel's answer says it best
	}
	return guard.New(guard.Options{Request: request, Unpack: r.Unpack})
}

func (r *running) Insert(path, name, params string, flags finit.Flags) error {
	err := r.Load(path, name, params, flags)
	sayHindered(path, err)
	return err
}

func (r *running) Image(path string) ([]byte, error) {
	b, err := r.Contents(path)
	sayHindered(path, err)
	return b, err
}

func (*running) Command(text string, env []string, look func() int) (status int, err error) {
	return system(text, env, look)
}

// sayHindered says why a module was not decompressed, where no kmod would have
// failed: without it there is an errno that says nothing, or with -q not even
// that.
func sayHindered(path string, err error) {
	if h, ok := errors.AsType[*finit.Hindered](err); ok {
		registry.Print("safeload: " + path + ": " + h.Error())
	}
}
