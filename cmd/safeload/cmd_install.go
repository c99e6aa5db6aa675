// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"os"

	"safeload/bpf"
	"safeload/install"
	"safeload/internal/plain"
)

func runInstall(args []string, stdout, stderr io.Writer) int {
	return changeHelper("install", args, stdout, stderr)
}

func runUninstall(args []string, stdout, stderr io.Writer) int {
	return changeHelper("uninstall", args, stdout, stderr)
}

func changeHelper(name string, args []string, stdout, stderr io.Writer) int {
	o := install.Options{Report: func(line string) { plain.Fprintf(stdout, "%s\n", line) }}
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	do := install.Uninstall
	if name == "install" {
		do = install.Install
		fs.StringVar((*string)(&o.Via), "via", string(install.Sysctl), "how: `WAY` is sysctl (kernel.modprobe) or divert (dpkg-divert)")
		fs.StringVar(&o.Helper, "helper", "", "the safeload-modprobe to install (default: the one beside safeload)")
	}
	fs.StringVar(&o.Root, "root", "/", "the system in `DIR`, such as an image, not the running one")
	fs.BoolVar(&o.DryRun, "n", false, "change nothing, print what would be done")
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return misused(name, stderr, "it takes no argument, not %q", fs.Arg(0))
	}
	if name == "install" && o.Via != install.Sysctl && o.Via != install.Divert {
		return misused(name, stderr, "--via %q: sysctl or divert", o.Via)
	}
	if exe, err := os.Executable(); err == nil {
		o.Program = exe
	}
	o.Probe = kernelProbe{}
	if err := do(o); err != nil {
		plain.Fprintf(stderr, "safeload: %v\n", err)
		return exitError
	}
	return exitOK
}

// kernelProbe is the probe of the running kernel.
type kernelProbe struct{}

func (kernelProbe) There() bool {
	p, err := bpf.Find(bpf.PinDir)
	return err == nil && p != nil
}

func (kernelProbe) Load() error {
	_, err := probeLoad(probePatience)
	return err
}

func (kernelProbe) Unload() error {
	_, err := probeUnload()
	return err
}
