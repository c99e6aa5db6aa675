// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard"
	"safeload/internal/conf"
	"safeload/internal/kmsg"
	"safeload/internal/version"
	"safeload/kmod"
)

// process is what there is once: in the program's zeroed pages, where it costs
// less than in the heap of a program that lives for so short a time.
var process struct {
	env     Env
	args    []string
	program program
	kmod    kmod.Context
}

// context makes the program's view of a module tree.
func (p *program) context(o kmod.Options) {
	if p != &process.program {
		p.ctx = kmod.New(o)
		return
	}
	p.ctx = &process.kmod
	p.ctx.Init(o)
}

// System is the Env of the running system: modules go through the guard to
// the kernel. environ is that of the process; nothing is done yet.
func System(args, environ []string) *Env {
	process.args = args
	process.env = Env{
		Args:    args,
		Environ: environ,
		Version: version.Version,
		Guard: func(request string) Guard {
			if unix.Geteuid() != 0 {
				return nil // cannot load anything: the kernel's answer says it best
			}
			return systemGuard{guard.New(guard.Options{Argv: process.args, Request: request, Settings: conf.Read})}
		},
		Reported: func(err error) bool {
			_, refused := err.(*guard.Refused)
			return refused
		},
		Insert: func(path, name, params string, flags uint) error {
			err := finit.Load(path, name, params, finit.Flags(flags))
			sayHindered(path, err)
			return err
		},
		Image: func(path string) ([]byte, error) {
			b, err := finit.Contents(path)
			sayHindered(path, err)
			return b, err
		},
		Remove: func(name string, force bool) error {
			flags := finit.NonBlock
			if force {
				flags |= finit.Force
			}
			return finit.Unload(name, flags)
		},
	}
	return &process.env
}

// sayHindered says why a module was not decompressed, where no kmod would have
// failed: without it there is an errno that says nothing, or with -q not even
// that.
func sayHindered(path string, err error) {
	if h := finit.HinderedOf(err); h != nil {
		kmsg.Say("safeload: " + path + ": " + h.Error())
	}
}

type systemGuard struct{ *guard.Guard }

func (g systemGuard) Command(kind, module, text string, env []string, run func([]string, func() int) error) error {
	return g.Guard.Command(guard.Command{Kind: kind, Module: module, Plain: kmod.PlainCommand(text)}, env, run)
}

func (g systemGuard) Submit(module, path string, submit func() error) error {
	return g.Guard.Submit(guard.Load{Module: module, Path: path}, submit)
}
