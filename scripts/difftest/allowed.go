// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// allowance is a difference that docs/kmod-differences.md explains. apply
// takes it, and nothing else, out of the comparison, and says whether it was
// there.
type allowance struct {
	id, what string
	// first and last are the oldest and the newest kmod that has the
	// difference, 0 if there is no such bound.
	first, last int
	apply       func(p *comparison) bool
}

// of says whether that kmod has the difference.
func (a *allowance) of(peer string) bool {
	r := release(peer)
	return r >= a.first && (a.last == 0 || r <= a.last)
}

// release is the number that a kmod's name begins with; a name without is that
// of something newer than all releases.
func release(peer string) int {
	n := 0
	for i := 0; i < len(peer) && peer[i] >= '0' && peer[i] <= '9'; i++ {
		n = 10*n + int(peer[i]-'0')
	}
	if n == 0 {
		return math.MaxInt
	}
	return n
}

var allowances = []allowance{
	{"debug-build", "Debian's kmod 30 puts file, line and function into messages", 0, 30, debugBuild},
	{"pointers", "addresses in messages", 0, 0, pointers},
	{"version-text", "the version is the one followed, with safeload's below", 0, 0, versionText},
	{"help-text", "the help is that of current kmod", 0, 34, helpText},
	{"dry-run-shows", "-n prints what it would do without -v", 0, 34, dryRunShows},
	{"dangling-config", "a file of modprobe.d that leads nowhere is reported", 0, 30, danglingConfig},
	{"weakdep", "weakdep lines are known", 0, 30, weakdep},
	{"softdep-message", "a soft dependency that cannot be looked up is called a dependency", 0, 30, softdepMessage},
	{"deprecated", "old options warn", 0, 34, deprecated},
	{"build-id", "modinfo prints the build id", 0, 34, buildID},
	{"softdep-loop", "kmod crashes when removing along soft dependencies that lead back", 0, 0, softdepLoop},
	{"damaged-text", "what is wrong with a gzip or zstd file is told less exactly", 34, 0, damagedText},
	{"syslog-controls", "control characters in messages to syslog are spelled out", 0, 0, syslogControls},
	{"lsmod-log", "lsmod's messages are its own, not the library's", 0, 30, lsmodLog},
	{"remove-dry-run", "rmmod is not printed for a module that is not loaded", 0, 34, removeDryRun},
}

// edit applies f to an output and says whether that changed it.
func edit(s *string, f func(string) string) bool {
	before := *s
	*s = f(before)
	return *s != before
}

var (
	libPlace  = regexp.MustCompile(`(?m)^(libkmod: [A-Z]+) \.\./\S+:\d+ `)
	toolPlace = regexp.MustCompile(`(?m)^((?:syslog: <\d+>TIME )?\w+: [A-Z]+): \.\./\S+:\d+ \w+\(\) `)
	pointer   = regexp.MustCompile(`\b0x[0-9a-f]+\b`)
)

func debugBuild(p *comparison) bool {
	return edit(&p.want.stderr, func(s string) string {
		return toolPlace.ReplaceAllString(libPlace.ReplaceAllString(s, "$1: "), "$1: ")
	})
}

func pointers(p *comparison) bool {
	f := func(s string) string { return pointer.ReplaceAllString(s, "0x") }
	a, b := edit(&p.want.stderr, f), edit(&p.got.stderr, f)
	return a || b
}

func versionText(p *comparison) bool {
	if !strings.HasPrefix(p.got.stdout, "kmod version 34\n") || !strings.HasPrefix(p.want.stdout, "kmod version ") {
		return false
	}
	p.want.stdout, p.got.stdout = "", ""
	return true
}

func helpText(p *comparison) bool {
	if !strings.HasPrefix(p.want.stdout, "Usage:\n") || !strings.HasPrefix(p.got.stdout, "Usage:\n") {
		return false
	}
	p.want.stdout, p.got.stdout = "", ""
	return true
}

// dryRunShows compares with kmod 30's -nv instead.
func dryRunShows(p *comparison) bool {
	if p.c.args[0] != "modprobe" || p.want.stdout != "" {
		return false
	}
	dry := slices.ContainsFunc(p.c.args, func(a string) bool {
		return a == "--dry-run" || a == "--show" || strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.Contains(a, "n")
	})
	if !dry {
		return false
	}
	errs := p.want.stderr
	p.want = p.rerun("-v")
	p.want.stderr = errs
	return true
}

var dangling = regexp.MustCompile(`(?m)^libkmod: ERROR: conf_files_filter_out: Cannot stat directory entry: .*\n`)

func danglingConfig(p *comparison) bool {
	return edit(&p.got.stderr, func(s string) string { return dangling.ReplaceAllString(s, "") })
}

var (
	weakdepError = regexp.MustCompile(`(?m)^libkmod: ERROR: kmod_config_parse: .* bad line starting with 'weakdep'\n`)
	weakdepLine  = regexp.MustCompile(`(?m)^weakdep .*\n`)
)

func weakdep(p *comparison) bool {
	drop := func(re *regexp.Regexp) func(string) string {
		return func(s string) string { return re.ReplaceAllString(s, "") }
	}
	a := edit(&p.want.stderr, drop(weakdepError))
	b := edit(&p.got.stderr, drop(weakdepError))
	c := edit(&p.got.stdout, drop(weakdepLine))
	return a || b || c
}

func softdepMessage(p *comparison) bool {
	return edit(&p.want.stderr, func(s string) string {
		return strings.ReplaceAll(s, "failed to lookup soft dependency", "failed to lookup dependency")
	})
}

var deprecation = regexp.MustCompile(`(?m)^modprobe: WARNING: --\S+ is deprecated .*\n`)

func deprecated(p *comparison) bool {
	return edit(&p.got.stderr, func(s string) string { return deprecation.ReplaceAllString(s, "") })
}

var buildIDText = regexp.MustCompile(`(?m)^build-id: +[0-9A-F:]+\n|build-id=[0-9A-F:]+\x00`)

func buildID(p *comparison) bool {
	return p.c.args[0] == "modinfo" &&
		edit(&p.got.stdout, func(s string) string { return buildIDText.ReplaceAllString(s, "") })
}

func softdepLoop(p *comparison) bool {
	if p.want.signal != syscall.SIGSEGV || p.got.signal != 0 || p.got.code > 1 || !strings.HasPrefix(p.c.args[3], "-r") {
		return false
	}
	p.want = p.got
	return true
}

var damage = regexp.MustCompile(`(?m)^(.* (gzip|zstd): ).*\n`)

func damagedText(p *comparison) bool {
	f := func(s string) string { return damage.ReplaceAllString(s, "$1\n") }
	a, b := edit(&p.want.stderr, f), edit(&p.got.stderr, f)
	return a && b
}

func syslogControls(p *comparison) bool {
	return p.c.syslog && edit(&p.got.stderr, func(s string) string { return strings.ReplaceAll(s, `\x0a`, "\n") })
}

var libPrefix = regexp.MustCompile(`(?m)^(libkmod: ERROR: \w+|Error): `)

func lsmodLog(p *comparison) bool {
	return p.c.args[0] == "lsmod" &&
		edit(&p.want.stderr, func(s string) string { return libPrefix.ReplaceAllString(s, "lsmod: ERROR: ") })
}

// removeDryRun drops the lines of kmod 30 about modules that are not loaded.
func removeDryRun(p *comparison) bool {
	return edit(&p.want.stdout, func(s string) string {
		var b strings.Builder
		for line := range strings.Lines(s) {
			if name, ok := strings.CutPrefix(line, "rmmod "); ok {
				_, err := os.Stat(filepath.Join(p.root, "sys/module", strings.TrimSpace(name), "refcnt"))
				if os.IsNotExist(err) {
					continue
				}
			}
			b.WriteString(line)
		}
		return b.String()
	})
}

// newer says that a case is about what kmod 34 and before do not have, so that
// there is nothing to compare with: options and abbreviations, paths as
// modules.
func newer(peer string, c *testCase) bool {
	r := release(peer)
	if r > 34 {
		return false
	}
	if slices.Contains(c.env, "KMOD_LOG=debug") {
		return true
	}
	// A negative size, and what cannot be read, in other words.
	if c.root == "odd" && (c.args[0] == "lsmod" || c.args[0] == "modinfo") {
		return true
	}
	for i, a := range c.args {
		if len(a) > 3900 && i > 0 && (c.args[i-1] == "-S" || c.args[i-1] == "-k" || c.args[0] == "rmmod") {
			return true
		}
		// Debian builds without zlib; kmod 30 does not say what is wrong.
		if strings.HasPrefix(a, "/damaged/") && (strings.HasSuffix(a, ".ko.gz") || r == 30 && !strings.HasSuffix(a, ".ko")) {
			return true
		}
		switch a {
		case "--s", "--sh", "--show-", "--show-e", "--show-exports", "--show-modversions", "--dump-modversions", "--du", "--d",
			"--remove-", "--remove-d", "--remove-h", "--dr", "--remove-dependencies", "-w99999999999999999999":
			return true
		}
		if i > 0 && c.args[0] == "modprobe" && (strings.HasPrefix(a, "/") || strings.HasPrefix(a, "./")) &&
			c.args[i-1] != "-d" && c.args[i-1] != "-C" {
			return true
		}
	}
	if len(c.args) < 2 {
		return false
	}
	switch first := c.args[1]; c.args[0] {
	case "lsmod":
		return true // knows no options
	case "rmmod":
		return slices.Contains(c.args, "-w") || first == "" || strings.Contains(first, "/") && !strings.Contains(first, "lib")
	case "insmod":
		return strings.HasPrefix(first, "-v") || strings.HasPrefix(first, "--") || slices.Contains(c.args, "-s")
	}
	return false
}

// overflow says that kmod died of its own fault: prepend_options_from_env
// (tools/modprobe.c) has no room for the NUL of an empty MODPROBE_OPTIONS.
// Whether that meets anything depends on the heap.
func overflow(p *comparison) bool {
	return p.want.signal == syscall.SIGABRT && p.got.signal == 0 && slices.Contains(p.c.env, "MODPROBE_OPTIONS=")
}

// checkDocs fails if the document leaves out an allowed difference.
func checkDocs(path string) error {
	if path == "" {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, a := range slices.Concat(allowances, depmodAllowances) {
		if !strings.Contains(string(b), "`"+a.id+"`") {
			return fmt.Errorf("%s does not describe the allowed difference %q", path, a.id)
		}
	}
	return nil
}
