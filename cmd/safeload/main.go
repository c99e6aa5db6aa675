// SPDX-License-Identifier: Apache-2.0

// Command safeload loads Linux kernel modules without waiting for itself, and
// tells who waits for whom. commands.go lists the subcommands; each parses its
// options in a file of its own, cmd_NAME.go, calls a package and prints.
//
// Called by the name of one of kmod's programs (modprobe, insmod, rmmod, …) it
// is that program.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	_ "safeload/internal/entry" // linked as the entry point by scripts/build.sh
	"safeload/internal/plain"
	_ "safeload/internal/unchanged"
)

// Exit codes of all subcommands but kmod's programs, which have kmod's.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
	exitFound = 3 // a recursion or deadlock was found
)

func main() {
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

func run(argv []string, stdout, stderr io.Writer) int {
	if len(argv) > 0 {
		if c := lookup(filepath.Base(argv[0])); c != nil && c.applet {
			return c.run(argv[1:], stdout, stderr)
		}
		argv = argv[1:]
	}
	if len(argv) == 0 {
		usage(stderr)
		return exitUsage
	}
	switch argv[0] {
	case "-h", "--help", "help":
		usage(stdout)
		return exitOK
	case "-V", "--version":
		argv[0] = "version"
	}
	c := lookup(argv[0])
	if c == nil {
		plain.Fprintf(stderr, "safeload: no command %q; safeload help lists them\n", argv[0])
		return exitUsage
	}
	return c.run(argv[1:], stdout, stderr)
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: safeload COMMAND [ARGUMENT...]\n\n")
	for _, c := range commands() {
		plain.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nExit codes: 0 fine, 1 error, 2 usage, 3 a recursion or deadlock was found;\n"+
		"kmod's programs have kmod's.\n")
}

// usageError prints how the command is called and returns exitUsage.
func usageError(name string, stderr io.Writer) int {
	usageLine(name, stderr)
	return exitUsage
}

func usageLine(name string, w io.Writer) {
	c := lookup(name)
	fmt.Fprintln(w, strings.TrimSpace("usage: safeload "+c.name+" "+c.args))
}

// parse reads a command's options. done: the command ends with this exit code,
// as its help was printed or an option is wrong.
func parse(fs *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, done bool) {
	fs.SetOutput(io.Discard)
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		c := lookup(fs.Name())
		usageLine(c.name, stdout)
		plain.Fprintf(stdout, "%s\n", c.summary)
		fs.SetOutput(stdout)
		fs.PrintDefaults()
		return exitOK, true
	case err != nil:
		plain.Fprintf(stderr, "safeload %s: %v\n", fs.Name(), err)
		return usageError(fs.Name(), stderr), true
	}
	return exitOK, false
}

// misused prints what is wrong with a command's arguments, and its usage.
func misused(name string, stderr io.Writer, format string, args ...any) int {
	plain.Fprintf(stderr, "safeload "+name+": "+format+"\n", args...)
	return usageError(name, stderr)
}
