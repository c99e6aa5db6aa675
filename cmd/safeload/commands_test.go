// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestCommandsAreListed holds the table of commands against what users read.
// Their options are compared by the tests of completion.
func TestCommandsAreListed(t *testing.T) {
	var table []string
	for _, c := range commands() {
		table = append(table, c.name)
		if c.summary == "" || c.run == nil {
			t.Errorf("%s: no summary, or nothing to run", c.name)
		}
	}
	if !slices.IsSorted(table) || len(slices.Compact(slices.Clone(table))) != len(table) {
		t.Errorf("not sorted, or twice: %q", table)
	}
	var help bytes.Buffer
	usage(&help)
	file := func(name string) string {
		b, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	// The table of the README: the first word of each piece of code in a row's first cell.
	readme := ""
	for _, row := range regexp.MustCompile(`(?m)^\| (`+"`"+`.*?) \| `).FindAllStringSubmatch(file("README.md"), -1) {
		readme += row[1] + "\n"
	}
	for where, list := range map[string]struct {
		text    string
		command *regexp.Regexp
	}{
		"usage":  {help.String(), regexp.MustCompile(`(?m)^  ([\w-]+) +\S`)},
		"zsh":    {file("completion/_safeload"), regexp.MustCompile(`(?m)^\t\t\t'([a-z][\w-]*):[^:]`)},
		"fish":   {file("completion/safeload.fish"), regexp.MustCompile(`__fish_use_subcommand -a ([\w-]+) `)},
		"README": {readme, regexp.MustCompile("`([\\w-]+)")},
		"man":    {file("man/safeload.8"), regexp.MustCompile(`(?m)(?:^\.It |, )Cm ([\w-]+)`)},
	} {
		var listed []string
		for _, m := range list.command.FindAllStringSubmatch(list.text, -1) {
			if m[1] != "help" {
				listed = append(listed, m[1])
			}
		}
		slices.Sort(listed)
		if listed = slices.Compact(listed); !slices.Equal(listed, table) {
			t.Errorf("%s lists\n%q, the table\n%q", where, listed, table)
		}
	}
}
