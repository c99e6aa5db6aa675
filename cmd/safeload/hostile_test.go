// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"safeload/audit"
	"safeload/bpf/live"
	"safeload/doctor"
	"safeload/guard/graph"
	"safeload/guard/report"
	"safeload/guard/survey"
)

// What others choose moves no terminal and makes no line of its own.
const hostile = "x\nFORGED: line\r\x1b]0;title\a\x1b[2J\u009b31m\x9b1m\u202egnp.exe\u2066\u2028\xff\x7f"

// forged tells what of a text should not be in it.
func forged(text string) string {
	if !utf8.ValidString(text) {
		return "what is no UTF-8"
	}
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			return fmt.Sprintf("%U", r)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "FORGED") {
			return "a line that a name has made"
		}
	}
	return ""
}

// All commands with such arguments. What they print is about the argument, so
// that the check cannot pass because they said nothing.
func TestHostileArguments(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, hostile)
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(tree, hostile+".ko")
	if err := os.WriteFile(module, []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{hostile},
		{"load", hostile},
		{"load", module, hostile},
		{"load", "-" + hostile},
		{"unload", hostile},
		{"unload", "-" + hostile},
		{"audit", hostile},
		{"audit", tree},
		{"audit", "-" + hostile},
		{"audit", "--fail-on", hostile, tree},
		{"audit", "--baseline", filepath.Join(dir, "none"+hostile), tree},
		{"install", "-n", "--root", filepath.Join(dir, "none"+hostile)},
		{"install", "-n", "--root", tree, "--helper", hostile},
		{"install", "-n", "--root", tree, "--helper", module},
		{"install", "--via", hostile},
		{"install", hostile},
		{"install", "-" + hostile},
		{"uninstall", "-n", "--root", filepath.Join(dir, "none"+hostile)},
		{"uninstall", hostile},
		{"watch", hostile},
		{"watch", "--source", hostile},
		{"watch", "-" + hostile},
		{"status", hostile},
		{"status", "-" + hostile},
		{"diagnose", hostile},
		{"diagnose", "-" + hostile},
		{"doctor", hostile},
		{"doctor", "-" + hostile},
		{"version", hostile},
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"safeload"}, args...), &stdout, &stderr)
		text := stdout.String() + stderr.String()
		if what := forged(text); what != "" {
			t.Errorf("%q printed %s: %q", args, what, text)
		}
		if !strings.Contains(text, "FORGED") || code == exitOK && args[0] != "audit" {
			t.Errorf("%q: exit %d, %q, which is not about the argument", args, code, text)
		}
	}
}

// What is seen of tasks, modules and files, by each that prints it.
func TestHostileNames(t *testing.T) {
	task := &survey.Seen{PID: 2, TID: 2, Comm: hostile, Command: hostile, Module: hostile, Initstate: "coming",
		Request: hostile, Params: hostile, Wchan: hostile}
	step := graph.Hop{What: graph.HopLoad, Module: hostile, Request: hostile, Comm: hostile, File: hostile, FD: -1}
	request := step
	request.What = graph.HopRequest
	finding := &live.Finding{Finding: graph.Finding{Module: hostile, Chain: []graph.Hop{step, request, step}}, Comm: hostile}
	var tree, watched, noted, doctored bytes.Buffer
	report.Tree(&tree, &survey.Survey{Tasks: []survey.Seen{*task}})
	p := newWatchPrinter(watchOptions{}, &watched, &noted)
	p.Finding(finding)
	p.Note("about %s", hostile)
	report := doctor.Report{Checks: []doctor.Check{{Area: "a", Name: hostile, Level: doctor.Bad, Value: hostile, Why: hostile, Fix: hostile}}}
	if err := report.Print(&doctored, true); err != nil {
		t.Fatal(err)
	}
	found := audit.Result{Dir: hostile, Release: hostile, Failed: []error{errors.New(hostile)},
		Findings: []audit.Finding{{Module: hostile, Hops: []audit.Hop{{Module: hostile, Request: hostile, Match: hostile, Why: hostile, While: hostile, Route: []string{hostile}}}}}}
	var audited bytes.Buffer
	if err := audit.WriteText(&audited, &found, true); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"tree": tree.String(), "watch": watched.String(), "note": noted.String(),
		"doctor": doctored.String(), "audit": audited.String(),
	} {
		if what := forged(text); what != "" || !strings.Contains(text, "FORGED") {
			t.Errorf("%s: %q in %q", name, what, text)
		}
	}
}
