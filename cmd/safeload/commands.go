// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"safeload/finit/unpack"
	"safeload/internal/modprobe"
)

// command is one subcommand.
type command struct {
	name    string
	args    string // for the usage line, such as "FILE [param=value...]"
	summary string // one line, no full stop
	run     runner
	applet  bool // one of kmod's programs: argv[0] may lead to it as well
}

// runner gets the arguments after a command's name and returns the exit code.
type runner func(args []string, stdout, stderr io.Writer) int

// commands lists all commands by name. The completions, the manual page and the
// README have the same ones (TestCommandsAreListed). It is a function because a
// variable would depend on itself: a misused command looks up its usage here.
func commands() []command {
	const applet = true
	return []command{
		{"audit", "[-C CONFIG]... [-d ROOT] [-S RELEASE] [--json|--sarif|--html|--svg] [--baseline FILE] [--fail-on RANK] [-a] [TREE...]",
			"find modules whose load can wait for itself, from their files", runAudit, false},
		{"coldplug", "[-n] [--jobs N] [--in-order NAME,...]", "load the modules of the devices that are there, several at a time", runColdplug, false},
		{"depmod", "[OPTION...] [VERSION [FILE...]]", "depmod(8) of kmod, by all CPUs", runDepmod, applet},
		{"diagnose", "[--json | --dot | --svg] [--free]", "tell why modprobe hangs, with nothing installed before", runDiagnose, false},
		{"doctor", "[-v] [--json] [--probe]", "what this system offers to the guard, and what to change", runDoctor, false},
		{"insmod", "[OPTION...] FILE [param=value...]", "insmod(8) of kmod, with the guard", runApplet("insmod"), applet},
		{"install", "[-n] [--via sysctl|divert] [--root DIR] [--helper FILE]",
			"make safeload-modprobe the kernel's modprobe", runInstall, false},
		{"kmod", "[OPTION...] COMMAND [ARGUMENT...]", "kmod(8): list, static-nodes", runKmod, applet},
		{"load", "FILE [param=value...]", "load the module in FILE, unless it would wait for itself", runLoad, false},
		{"log", "[--json] [--follow] [--since TIME] [--module NAME] [--uid N] [--unit UNIT] [FILE]",
			"who asked for which module, and what came of it, from the probe in the kernel or a record of watch", runLog, false},
		{"lsmod", "[OPTION...]", "lsmod(8) of kmod", runApplet("lsmod"), applet},
		{"modinfo", "[OPTION...] NAME|FILE...", "modinfo(8) of kmod", runApplet("modinfo"), applet},
		{"modprobe", "[OPTION...] NAME [param=value...]", "modprobe(8) of kmod, with the guard", runApplet("modprobe"), applet},
		{"modules-load", "[-n] [--jobs N] [--in-order NAME,...] [FILE...]",
			"load what modules-load.d and the command line name, several at a time", runModulesLoad, false},
		{"probe", "load [--patience D] [--json] | unload [--json] | status [--json]",
			"leave the probe in the kernel without a process, take it away, or say whether it is there", runProbe, false},
		{"rmmod", "[OPTION...] NAME...", "rmmod(8) of kmod", runApplet("rmmod"), applet},
		{"status", "[--json | --dot | --svg]", "list the loads in flight and who waits for whom", runStatus, false},
		{"timeline", "[--html | --text | --json] [FILE]", "draw a record of watch: what was loaded when, and for whom", runTimeline, false},
		{"uninstall", "[-n] [--root DIR]", "undo safeload install, exactly", runUninstall, false},
		{"unload", "NAME...", "unload modules that nothing uses", runUnload, false},
		{"version", "", "print the version", runVersion, false},
		{"watch", "[--json] [-v] [--lines] [--break[=TERM|KILL]] [--once] [--duration D] [--record FILE] [--journal] [--ready-file FILE] [--pin DIR] [--source NAME]",
			"watch module loads live; flag, and break, those that wait for themselves", runWatch, false},
		{"why", "[--record FILE] MODULE", "who asked for a module, and what holds it now", runWhy, false},
	}
}

func lookup(name string) *command {
	for _, c := range commands() {
		if c.name == name {
			return &c
		}
	}
	return nil
}

// runApplet runs the program of kmod's that has this name.
func runApplet(name string) runner {
	return func(args []string, _, _ io.Writer) int {
		return modprobe.Main(modprobe.Running(append([]string{name}, args...), os.Environ(), unpack.InProcess))
	}
}
