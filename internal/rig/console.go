// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"regexp"
	"strconv"
	"strings"

	"safeload/internal/rig/report"
)

// A Console is what a guest said on its serial line. scripts/vm/guest/init names the lines.
type Console struct {
	lines []string
}

// ReadConsole takes a console's bytes.
func ReadConsole(text []byte) Console {
	return Console{strings.Split(strings.ReplaceAll(string(text), "\r", ""), "\n")}
}

// Ended says whether the guest came to its end.
func (c Console) Ended() bool {
	for _, l := range c.lines {
		if strings.HasPrefix(l, "#END#") {
			return true
		}
	}
	return false
}

// Reached says whether /init came to its cases.
func (c Console) Reached() bool {
	for _, l := range c.lines {
		if strings.HasPrefix(l, "#E#") {
			return true
		}
	}
	return false
}

// Verdicts are those of one phase of one case. The kernel may have written before the mark on the same line.
func (c Console) Verdicts(name, phase string) []report.Verdict {
	var found []report.Verdict
	mark := "#R# " + name + "|" + phase + "|"
	for _, l := range c.lines {
		_, rest, ok := strings.Cut(l, mark)
		if !ok {
			continue
		}
		f := strings.SplitN(rest, "|", 3)
		if len(f) < 3 {
			continue // cut off
		}
		v := report.Verdict{Case: name, Phase: phase, Outcome: report.Outcome(f[0]), Seconds: f[1], Text: f[2]}
		if v.Outcome != report.Pass && v.Outcome != report.Skip {
			v.Outcome = report.Fail
		}
		found = append(found, v)
	}
	return found
}

// A Note is something that must be the same in the stock and the safe boot.
type Note struct{ Case, Key, Value string }

// Notes are the guest's notes, and for the case of the early requests the modules that were there before /init.
func (c Console) Notes() []Note {
	var notes []Note
	early := false
	for _, l := range c.lines {
		early = early || strings.HasPrefix(l, "#R# early|")
		if rest, ok := strings.CutPrefix(l, "#N# "); ok {
			f := strings.SplitN(rest, "|", 3)
			if len(f) == 3 {
				notes = append(notes, Note{f[0], f[1], f[2]})
			}
		}
	}
	if !early {
		return notes
	}
	for _, l := range c.lines {
		if rest, ok := strings.CutPrefix(l, "#E# "); ok {
			notes = append(notes, Note{"early", "modules", rest})
		}
	}
	return notes
}

// Said is the end of what a case said of itself, without what went well.
func (c Console) Said(name string, most int) []string {
	var said []string
	for _, l := range c.lines {
		i := strings.Index(l, "#L# "+name+": ")
		if i < 0 || strings.HasPrefix(l[i:], "#L# "+name+": ok: ") {
			continue
		}
		said = append(said, l[i+len("#L# "):])
	}
	if len(said) > most {
		said = said[len(said)-most:]
	}
	return said
}

var initBegan = regexp.MustCompile(`\[ *([0-9]+)\.[0-9]+\].*slreq_h0: init`)

// InitBegan is the second at which the init of the early module began, by the kernel's log.
func (c Console) InitBegan() (second int, ok bool) {
	for _, l := range c.lines {
		if m := initBegan.FindStringSubmatch(l); m != nil {
			n, err := strconv.Atoi(m[1])
			return n, err == nil
		}
	}
	return 0, false
}
