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
)

func init() {
	commands = append(commands, command{
		name:    "load",
		args:    "FILE [param=value...]",
		summary: "load the module in FILE, unless it would wait for itself",
		run:     runLoad,
	})
}

func runLoad(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() == 0 {
		return misused("load", stderr, "the module's file is missing")
	}
	file, params := fs.Arg(0), strings.Join(fs.Args()[1:], " ")
	name := moduleName(file)
	g := guard.New(guard.Options{Request: name, Unpack: unpack.InProcess})
	defer g.Close()
	err := g.Submit(guard.Load{Module: name, Path: file}, func() error {
		return finit.Loader{Unpack: unpack.InProcess}.Load(file, name, params, 0)
	})
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

// moduleName makes the module's name, in the kernel's spelling, from that of
// its file, as libkmod does (path_to_modname in libkmod-util.c).
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}
