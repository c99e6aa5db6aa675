// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"strings"

	"safeload/bootload"
	"safeload/internal/plain"
	"safeload/internal/proc"
	"safeload/kmod"
)

// bootFlags are the options of modules-load and coldplug.
type bootFlags struct {
	*flag.FlagSet
	jobs    *int
	inOrder *string
	dryRun  *bool
}

func newBootFlags(name string) bootFlags {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	return bootFlags{fs,
		fs.Int("jobs", 0, "load up to `N` at once; default: one for each CPU, at least 2"),
		fs.String("in-order", "", "`NAME,...`: load these one after the other, as they are configured, not by this list"),
		fs.Bool("n", false, "print the names, and load nothing"),
	}
}

// runModulesLoad does what systemd-modules-load does: names on the kernel's
// command line, then those of modules-load.d, or those of the files that are named.
func runModulesLoad(args []string, stdout, stderr io.Writer) int {
	fs := newBootFlags("modules-load")
	if code, done := parse(fs.FlagSet, args, stdout, stderr); done {
		return code
	}
	code := exitOK
	var names []string
	add := func(list []string, err error) {
		names = append(names, list...)
		if err != nil {
			plain.Fprintf(stderr, "safeload modules-load: %v\n", err)
			code = exitError
		}
	}
	for _, file := range fs.Args() {
		add(bootload.File(file))
	}
	if fs.NArg() == 0 {
		// Without /proc the command line cannot be read; that is no error.
		line, _ := os.ReadFile("/proc/cmdline")
		_, err := os.Stat("/etc/initrd-release")
		add(bootload.CommandLine(string(line), err == nil), nil)
		add(bootload.Configured("/"))
	}
	return max(code, fs.load(names, false, stdout, stderr))
}

// runColdplug does what udev's coldplug does with modules.
func runColdplug(args []string, stdout, stderr io.Writer) int {
	fs := newBootFlags("coldplug")
	if code, done := parse(fs.FlagSet, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() != 0 {
		return misused("coldplug", stderr, "it takes no arguments")
	}
	aliases, err := bootload.Aliases("/sys/devices")
	if err != nil {
		plain.Fprintf(stderr, "safeload coldplug: %v\n", err)
		return exitError
	}
	aliases, err = withModules(aliases)
	if err != nil {
		plain.Fprintf(stderr, "safeload coldplug: %v; run depmod\n", err)
		return exitError
	}
	return fs.load(aliases, true, stdout, stderr)
}

// withModules returns the aliases for which the running kernel's tree has modules;
// of several aliases with the same modules, the first. A tree without an index of
// aliases is an error.
func withModules(aliases []string) (list []string, err error) {
	release, err := proc.Release()
	if err != nil {
		return nil, os.NewSyscallError("uname", err)
	}
	dir := "/lib/modules/" + release
	if _, err := os.Stat(dir + "/modules.alias.bin"); err != nil {
		return nil, err
	}
	c := kmod.New(kmod.Options{Dir: dir, Environ: os.Environ()})
	defer c.Close()
	seen := map[string]bool{}
	for _, alias := range aliases {
		modules, err := c.Lookup(alias)
		if err != nil {
			continue
		}
		var names strings.Builder
		for _, m := range modules {
			names.WriteString(m.Name + " ")
		}
		if key := names.String(); key != "" && !seen[key] {
			seen[key] = true
			list = append(list, alias)
		}
	}
	return list, nil
}

// load loads each name by a modprobe that heeds the blacklist. Modules that find no device have failed unless declined.
func (f *bootFlags) load(names []string, declined bool, stdout, stderr io.Writer) int {
	if *f.dryRun {
		for _, name := range names {
			plain.Fprintf(stdout, "%s\n", name)
		}
		return exitOK
	}
	program, err := os.Executable()
	if err != nil {
		program = "/sbin/modprobe" // no /proc
	}
	r := bootload.Runner{Most: *f.jobs, Declined: declined, Output: stderr, Command: func(name string) *exec.Cmd {
		return &exec.Cmd{Path: program, Args: []string{"modprobe", "-b", "--", name}}
	}}
	if *f.inOrder != "" {
		r.InOrder = strings.Split(*f.inOrder, ",")
	}
	if len(r.Run(names)) > 0 {
		return exitError
	}
	return exitOK
}
