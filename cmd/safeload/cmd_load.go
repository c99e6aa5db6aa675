// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"io"
	"path/filepath"
	"strings"

	"safeload/finit"
	"safeload/finit/unpack"
	"safeload/guard"
	"safeload/internal/plain"
	"safeload/internal/proc"
	"safeload/kmod"
)

func runLoad(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() == 0 {
		return misused("load", stderr, "the module's file is missing")
	}
	file, params := fs.Arg(0), strings.Join(fs.Args()[1:], " ")
	name := kmod.NormalizeName(filepath.Base(file)) // as path_to_modname in libkmod-util.c
	g := guard.New(guard.Options{Request: name, Unpack: unpack.InProcess})
	defer g.Close()
	// Without the count of inits the message names both who may have answered.
	inits, _ := finit.CountInits()
	shared := false
	err := g.Submit(guard.Load{Module: name, Path: file}, func() error {
		shared = loading()
		return finit.Loader{Unpack: unpack.InProcess}.Load(file, name, params, 0)
	})
	attribute(err, inits, shared)
	var refused *guard.Refused
	switch {
	case errors.As(err, &refused): // the guard has said so
		return exitFound
	case err != nil:
		plain.Fprintf(stderr, "safeload: %v\n", err)
		return exitError
	}
	return exitOK
}

// loading tells whether some init runs. If it is that of the same file, a second
// load gets the first one's answer (idempotent_init_module).
func loading() bool {
	p, err := proc.OpenProc()
	if err != nil {
		return true
	}
	defer p.Close()
	return len(p.Loading()) > 0
}

// attribute notes in a failed load's error who has answered it: the module's init
// or the kernel. shared: the answer may be that to another load of the file.
func attribute(err error, inits *finit.Inits, shared bool) {
	if inits == nil {
		return
	}
	defer inits.Close()
	var failed *finit.Error
	if !errors.As(err, &failed) {
		return
	}
	switch n, ok := inits.Ended(); {
	case !ok:
	case n > 0:
		failed.Answerer = finit.ByTheInit
	case !shared:
		failed.Answerer = finit.ByKernel
	}
}
