// SPDX-License-Identifier: Apache-2.0

// Vmrig runs safeload in virtual machines with real kernels, beside the stock kmod: what scripts/vm-test.sh starts.
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"safeload/internal/rig"
	"safeload/internal/rig/report"
)

const usage = `usage: vm-test.sh [OPTION...]          run every case on every kernel
       vm-test.sh demo                 the story in two boots of one 32-bit ARM machine
       vm-test.sh --list               the cases, the kernels and the machines

  --arch ARCH            only kernels of this architecture (arm, arm64, amd64)
  --kernel SERIES        only kernels of this series (6.12, 6.1, newest)
  --machine MACHINE      on this machine of --list, such as a board; with 6.12 unless --kernel says otherwise
  --case NAME[,NAME...]  only these cases
  --kernel-image FILE    a kernel of your own (needs --arch) ...
  --modules DIR          ... and its modules: the directory that holds lib/modules/VERSION
  --headers DIR          its build tree, for cases that need our test modules
  --dtb FILE             the device tree of the board that is --machine, if --modules and --headers do not have it
  --seed-kernel          instead of all this: a 32-bit ARM kernel with the wait of 6.5 to 6.10, which
                         no signal ends, built from Debian's linux-source and kept in the cache: 2 GB
                         there, and some 15 minutes of a processor, once
  --shell                a prompt in the guest instead of the cases, or what is piped in
  --dist DIR             take the binaries from there instead of building them
  --json FILE            also write the report there, one JSON object a line
  --junit FILE           also write it there, as JUnit's XML
  --keep DIR             keep the guests' logs there
  --boot                 boot each guest, instead of resuming one that was saved when it had booted
  --quick                only the cases marked quick
  --hold FILE            run nothing that has limits of time by the clock while another program has FILE locked (flock)
  --no-install           if a package is missing, or Go, only name it and fail
  --full                 all cases on all kernels; storms, kills and crossing tasks at full scale (much longer)
  -h, --help             this text

A machine that is real (docs/boards.md); with --case, --headers, --dist and the reports:
  --target ssh://[USER@]HOST[:PORT]   run the cases that can run there, by the system's ssh, and put everything back
  --safe                 with safeload as the helper, as it is if nothing is said
  --stock                with kmod as the helper: its controls hang, and may need a reboot
  --reboot-between       both, with a reboot after kmod's
  --target-dir DIR       where on the target (default /var/tmp; programs must be allowed to start there)
  --bundle FILE          write an archive for a machine without network, for --arch and --release VERSION or --headers
  --release VERSION      what uname -r says there
  --read FILE            the verdicts in what that archive's run.sh printed

Exit status: 0 all passed, 1 something failed, 2 usage. The last line reads "N passed, N failed".
Environment: SAFELOAD_CACHE (where downloads are kept; default .cache in the repository).
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, list, code := parse(args)
	if code >= 0 {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if list {
		if err := rig.List(ctx, os.Stdout, o); err != nil {
			return complain(err)
		}
		return 0
	}
	if missing := missingTools(o); len(missing) > 0 {
		return complain(fmt.Errorf("these packages are needed: %s", strings.Join(missing, " ")))
	}
	verdicts, err := rig.Run(ctx, o)
	if ctx.Err() != nil {
		return 130
	}
	if err != nil {
		return complain(err)
	}
	if o.Shell || o.Bundle != "" {
		return 0
	}
	pass, fail, skip := report.Count(verdicts)
	if pass+fail+skip == 0 {
		fmt.Fprintln(os.Stderr, "vm-test: nothing was run")
		fail = 1
	}
	if skip > 0 {
		fmt.Printf("%d passed, %d failed, %d skipped\n", pass, fail, skip)
	} else {
		fmt.Printf("%d passed, %d failed\n", pass, fail)
	}
	if fail > 0 {
		return 1
	}
	return 0
}

func complain(err error) int {
	fmt.Fprintln(os.Stderr, "vm-test:", err)
	var wrong *rig.UsageError
	if errors.As(err, &wrong) {
		return 2
	}
	return 1
}

// parse reads the arguments; code is the exit status if there is nothing more to do, or -1.
func parse(args []string) (o rig.Options, list bool, code int) {
	o.Repo = os.Getenv("SAFELOAD_REPO")
	if o.Repo == "" {
		o.Repo, _ = os.Getwd()
	}
	if o.Cache = os.Getenv("SAFELOAD_CACHE"); o.Cache == "" {
		o.Cache = filepath.Join(o.Repo, ".cache")
	}
	var cases string
	values := map[string]*string{"--arch": &o.Arch, "--kernel": &o.Series, "--machine": &o.Machine, "--case": &cases, "--json": &o.JSON,
		"--junit": &o.JUnit, "--keep": &o.Keep, "--target": &o.Target, "--target-dir": &o.TargetDir, "--release": &o.Release,
		"--bundle": &o.Bundle, "--read": &o.Read, "--hold": &o.Hold}
	paths := map[string]*string{"--kernel-image": &o.Image, "--modules": &o.Modules, "--headers": &o.Headers, "--dtb": &o.DTB, "--dist": &o.Dist}
	flags := map[string]*bool{"--shell": &o.Shell, "--quick": &o.Quick, "--full": &o.Full, "--list": &list, "--seed-kernel": &o.SeedKernel,
		"--boot": &o.Boot, "demo": &o.Demo, "--stock": &o.Stock, "--safe": &o.Safe, "--reboot-between": &o.RebootBetween}
	for i := 0; i < len(args); i++ {
		name := args[i]
		if name == "-h" || name == "--help" {
			fmt.Print(usage)
			return o, false, 0
		}
		if f := flags[name]; f != nil {
			*f = true
			continue
		}
		into, path := values[name], paths[name]
		if into == nil && path == nil {
			fmt.Fprintf(os.Stderr, "vm-test: %s: unknown argument\n%s", name, usage)
			return o, false, 2
		}
		if i++; i == len(args) {
			fmt.Fprint(os.Stderr, usage)
			return o, false, 2
		}
		if into == &cases && cases != "" {
			cases += "," + args[i]
			continue
		}
		if into != nil {
			*into = args[i]
			continue
		}
		full, err := filepath.Abs(args[i])
		if err == nil {
			full, err = filepath.EvalSymlinks(full)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "vm-test:", err)
			return o, false, 2
		}
		*path = full
	}
	o.Cases = strings.FieldsFunc(cases, func(r rune) bool { return r == ',' || r == ' ' })
	return o, list, -1
}

// missingTools are the packages of programs that are not there. scripts/vm-test.sh has installed them where it can. The
// demo has no modules that have to be compiled; guests of one architecture need no other's tools, and a machine that is
// real needs nothing but what compiles them.
func missingTools(o rig.Options) []string {
	if o.Read != "" {
		return nil
	}
	_ = os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	tools := map[string]string{"dpkg-deb": "dpkg", "xz": "xz-utils"}
	hardware := o.Target != "" || o.Bundle != ""
	if o.Target != "" {
		tools["ssh"] = "openssh-client"
	}
	if !hardware {
		maps.Copy(tools, map[string]string{"cpio": "cpio", "depmod": "kmod", "busybox": "busybox-static"})
	}
	emulators := map[string][2]string{"arm": {"qemu-system-arm", "qemu-system-arm"}, "arm64": {"qemu-system-aarch64", "qemu-system-arm"},
		"amd64": {"qemu-system-x86_64", "qemu-system-x86"}}
	compilers := map[string][2]string{"arm": {"arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf"},
		"arm64": {"aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"}, "amd64": {"x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"}}
	arch := o.Arch
	if arch == "" {
		arch = rig.ArchOf(o.Machine)
	}
	if arch == "" && (o.Demo || o.Machine != "" || o.SeedKernel) {
		arch = "arm"
	}
	for a, emulator := range emulators {
		if arch != "" && a != arch {
			continue
		}
		if !hardware {
			tools[emulator[0]] = emulator[1]
		}
		if !o.Demo {
			tools[compilers[a][0]], tools["make"], tools["patch"] = compilers[a][1], "make", "patch"
		}
	}
	missing := map[string]bool{}
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing[pkg] = true
		}
	}
	packages := slices.Collect(maps.Keys(missing))
	slices.Sort(packages)
	return packages
}
