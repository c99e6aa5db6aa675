// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"

	"safeload/finit/unpack"
	"safeload/internal/getopt"
	"safeload/internal/modprobe"
	"safeload/internal/staticnodes"
)

// runKmod does what kmod does when it is called by its own name (tools/kmod.c).
func runKmod(args []string, stdout, stderr io.Writer) int {
	argv := append([]string{"kmod"}, args...)
	opts := getopt.Parser{Args: argv, Short: "hV", Long: []getopt.Option{{Name: "help", Val: 'h'}, {Name: "version", Val: 'V'}},
		Posix: true, Errs: func(msg string) { fmt.Fprint(stderr, msg) }}
	switch opts.Next() {
	case getopt.End:
	case 'h':
		kmodHelp(stdout)
		return 0
	case 'V':
		fmt.Fprint(stdout, kmodVersion)
		return 0
	default:
		return 1
	}
	if len(opts.Operands) == 0 {
		fmt.Fprint(stderr, "missing command\n")
		kmodHelp(stdout)
		return 1
	}
	// As kmod does, pass the first word on as the command's name, even if it is an option.
	rest := append(argv[1:2:2], opts.Operands[1:]...)
	switch opts.Operands[0] {
	case "help":
		kmodHelp(stdout)
		return 0
	case "list":
		env := modprobe.Running(rest, os.Environ(), unpack.InProcess)
		env.Applet, env.Name = "lsmod", "kmod"
		return modprobe.Main(env)
	case "static-nodes":
		return staticnodes.Main(rest, stdout, stderr)
	}
	fmt.Fprintf(stderr, "invalid command '%s'\n", opts.Operands[0])
	kmodHelp(stdout)
	return 1
}

func kmodHelp(w io.Writer) {
	fmt.Fprint(w, `kmod - Manage kernel modules: list, load, unload, etc
Usage:
	kmod [options] command [command_options]

Options:
	-V, --version     show version
	-h, --help        show this help

Commands:
  help         show help message
  list         list currently loaded modules
  static-nodes output the static-node information installed with the currently running kernel

kmod also handles gracefully if called from following symlinks:
  lsmod        compat lsmod command
  rmmod        compat rmmod command
  insmod       compat insmod command
  modinfo      compat modinfo command
  modprobe     compat modprobe command
  depmod       compat depmod command
`)
}
