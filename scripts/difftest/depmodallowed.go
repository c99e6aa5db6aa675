// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"strings"
)

// depmodAllowances are the differences of depmod that docs/kmod-differences.md
// explains.
var depmodAllowances = []allowance{
	{"debug-build", "Debian's kmod 30 puts file, line and function into messages", 0, 30, debugBuild},
	{"pointers", "addresses in messages", 0, 0, pointers},
	{"depmod-symvers", "why a line of Module.symvers is no good is the reason of whatever failed before", 0, 34, depmodSymvers},
	{"depmod-debug", "-vvv says no more than -vv", 0, 0, depmodDebug},
	{"version-text", "the version is the one followed, with safeload's below", 34, 0, versionText},
	{"help-text", "the help is that of current kmod", 34, 34, helpText},
	{"kmod-parent", "why a directory cannot be made for static-nodes -o is told", 34, 34, kmodParent},
	{"depmod-ascii", "what is not ASCII is refused", 0, 30, depmodASCII},
	{"depmod-leftover", "of an index that could not be made there is no temporary file", 34, 0, depmodLeftover},
	{"depmod-weakdep", "modules.weakdep is made", 0, 30, depmodWeakdep},
}

var weakdepFile = regexp.MustCompile(`(?s)\n=== \S*modules\.weakdep .*?(\n=== |$)`)
var weakdepLines = regexp.MustCompile(`(?m)^# Weak dependencies .*\n(weakdep .*\n)*`)

func depmodWeakdep(p *comparison) bool {
	a := edit(&p.got.files, func(s string) string { return weakdepFile.ReplaceAllString(s, "$1") })
	b := edit(&p.got.stdout, func(s string) string { return weakdepLines.ReplaceAllString(s, "") })
	return a || b
}

// depmodASCII leaves out what kmod 30 does with letters that are negative.
func depmodASCII(p *comparison) bool {
	if !strings.Contains(p.got.stderr, "only 7-bit ASCII is supported") {
		return false
	}
	p.want = p.got
	return true
}

var leftoverFile = regexp.MustCompile(`(?s)\n=== \S*/(?:modules\.[a-z.]+\.\d+\.\d+\.\d+|tmpfile\w{6}) [^\n]*\n.*?(\n=== |$)`)

func depmodLeftover(p *comparison) bool {
	return p.want.code != 0 && edit(&p.want.files, func(s string) string { return leftoverFile.ReplaceAllString(s, "$1") })
}

var symversReason = regexp.MustCompile(`(?m)^(depmod: ERROR: \S+ Invalid symbol version \S+: ).*$`)

func depmodSymvers(p *comparison) bool {
	f := func(s string) string { return symversReason.ReplaceAllString(s, "$1") }
	a, b := edit(&p.want.stderr, f), edit(&p.got.stderr, f)
	return a && b
}

var debugLine = regexp.MustCompile(`(?m)^(depmod|libkmod): DEBUG: .*\n`)

func depmodDebug(p *comparison) bool {
	return edit(&p.want.stderr, func(s string) string { return debugLine.ReplaceAllString(s, "") })
}

var parentReason = regexp.MustCompile(`(?m)^(Error: could not create parent directory for \S+ - ).*$`)

func kmodParent(p *comparison) bool {
	f := func(s string) string { return parentReason.ReplaceAllString(s, "$1") }
	a, b := edit(&p.want.stderr, f), edit(&p.got.stderr, f)
	return a && b
}
