// SPDX-License-Identifier: Apache-2.0

// Loadmod is a program outside of safeload's module that loads kernel modules by
// its packages. It shows how, and that it can be done without anything of
// safeload's internal/.
//
//	loadmod -n NAME [param=value...]    what a load would do
//	loadmod NAME [param=value...]       the load
//	loadmod -r NAME                     its removal
//	loadmod -d DIR ...                  in the image at DIR
//
// Exit codes: 0 done, 1 failed, 2 misused, 3 refused because it would wait for
// itself, 4 there is no such module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"safeload/guard"
	"safeload/modprobe"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("loadmod", flag.ContinueOnError)
	fs.SetOutput(stderr)
	plan := fs.Bool("n", false, "only say what would be done")
	remove := fs.Bool("r", false, "remove")
	root := fs.String("d", "", "directory above lib/modules")
	release := fs.String("S", "", "release of the kernel")
	if fs.Parse(args) != nil || fs.NArg() == 0 {
		fmt.Fprintln(stderr, "usage: loadmod [-n | -r] [-d DIR] [-S RELEASE] NAME [param=value...]")
		return 2
	}
	// An interrupt ends the load between two steps.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m, err := modprobe.New(modprobe.Options{
		Root: *root, Release: *release,
		Log: func(line string) { fmt.Fprintln(stderr, "loadmod:", line) },
	})
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	defer m.Close()
	name, params := fs.Arg(0), fs.Args()[1:]
	switch {
	case *plan:
		err = show(stdout, m, name, params)
	case *remove:
		err = m.Unload(ctx, name)
	default:
		err = m.Load(ctx, name, params...)
	}
	return say(stderr, err)
}

// show prints the steps of a load.
func show(stdout io.Writer, m *modprobe.Loader, name string, params []string) error {
	steps, err := m.Plan(name, params...)
	for _, s := range steps {
		switch {
		case s.Command != "":
			fmt.Fprintln(stdout, "run", s.Command, s.Params)
		case s.Path == "":
			fmt.Fprintln(stdout, "builtin", s.Module)
		default:
			fmt.Fprintln(stdout, "load", s.Path, s.Params)
		}
	}
	return err
}

// say prints an error and gives the exit code for it.
func say(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, err)
	var refused *guard.Refused
	switch {
	case errors.As(err, &refused):
		for _, h := range refused.Chain {
			fmt.Fprintf(stderr, "  pid %d (%s) %s\n", h.PID, h.Comm, h.Why)
		}
		return 3
	case errors.Is(err, modprobe.ErrNotFound):
		return 4
	}
	return 1
}
