// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"strings"

	"safeload/internal/rig/report"
)

// A targetRun is what run.sh said of one run.
type targetRun struct {
	mode               Mode
	key, host, release string
	cases              []string
	text               []byte
}

// readRuns finds the runs in what was recorded of a machine: by ssh, or by whatever logged a serial line, with what was
// typed there and what the kernel wrote between.
func readRuns(text []byte) []targetRun {
	var runs []targetRun
	for line := range bytes.Lines(text) {
		clean := printable(strings.TrimRight(string(line), "\r\n"))
		if _, rest, ok := strings.Cut(clean, "#T# 1|"); ok {
			f := strings.SplitN(rest, "|", 5)
			if len(f) == 5 && (f[0] == string(Stock) || f[0] == string(Safe)) {
				runs = append(runs, targetRun{mode: Mode(f[0]), key: f[1], host: f[2], release: f[3], cases: strings.Fields(f[4])})
			}
		}
		if n := len(runs); n > 0 {
			runs[n-1].text = append(append(runs[n-1].text, clean...), '\n')
		}
	}
	return runs
}

// printable is a line without what a terminal takes for more than text: the other side of the line is not trusted.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// marked are the rests of the lines that have a mark.
func (c Console) marked(mark string) []string {
	var found []string
	for _, l := range c.lines {
		if _, rest, ok := strings.Cut(l, mark); ok {
			found = append(found, rest)
		}
	}
	return found
}

// left is what the machine said that it could not put back.
func (c Console) left() []string { return c.marked("#T# left: ") }

// complaint is the last that run.sh complained of.
func (c Console) complaint() string {
	if said := c.marked("run.sh: "); len(said) > 0 {
		return printable(said[len(said)-1])
	}
	return ""
}

// skips are the cases that were not run there, and why.
func (c Console) skips() []report.Verdict {
	var found []report.Verdict
	for _, s := range c.marked("#T# skip|") {
		if f := strings.SplitN(s, "|", 3); len(f) == 3 {
			found = append(found, report.Verdict{Case: f[0], Phase: f[1], Outcome: report.Skip, Seconds: "0", Text: f[2]})
		}
	}
	return found
}

// with is the console with verdicts that it says otherwise.
func (c Console) with(verdicts []report.Verdict) Console {
	lines := c.lines[:len(c.lines):len(c.lines)]
	for _, v := range verdicts {
		lines = append(lines, "#R# "+strings.Join([]string{v.Case, v.Phase, string(v.Outcome), v.Seconds, v.Text}, "|"))
	}
	return Console{lines}
}
