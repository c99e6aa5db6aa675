// SPDX-License-Identifier: Apache-2.0

// Package rig runs cases in virtual machines with real kernels, beside the stock kmod.
//
// A Case is a shell file with a head that says where and how it runs. Cases with the same group share a Guest, which is
// one boot of a Kernel on a Machine; what its console says is read into verdicts.
package rig

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// A Mode says whose helper the kernel of a guest has.
type Mode string

// The modes: kmod is the helper, safeload is, or somebody sits at the console.
const (
	Stock       Mode = "stock"
	Safe        Mode = "safe"
	Shell       Mode = "shell"
	rootOfSaved Mode = "base" // all that no change of ours changes: what a saved guest boots with
)

// A Case is one file of scripts/vm/cases. scripts/vm/README.md says what each field of its head means.
type Case struct {
	Name, File string
	What       string
	Kernels    []string
	Matrix     []string
	Group      string
	Limit      int // seconds
	LimitFull  int
	Append     string
	Icount     string
	Memory     int // MB, or 0
	CPUs       int // or 0
	HelperNone bool
	StandsFor  Mode // the mode in which the guest must not come to /init, or empty
	KnownRed   string
	Quick      bool
	Boards     []string // machines that a run of the whole matrix has the case on besides
	Fresh      bool     // needs a boot of its own: it is about what happens before /init
	Modules    []string // of the kernel, that its root has besides
	Copies     []string // of the test module slreq
	Tests      []string // Go packages whose tests its root has
	Extra      []string // what extras has
	Signed     bool     // the kernel's modules keep their signatures, also where a guest is resumed
	OffTarget  string   // why it is not for a machine that is real

	testmods bool // it speaks of the rig's own modules

	has map[string]bool
}

var (
	headLine = regexp.MustCompile(`^# ([a-z-]+): *(.*)$`)
	funcLine = regexp.MustCompile(`^(setup|control|stock|check)\(\)`)
)

// ParseCase reads a case. The first line of a field counts, wherever it is.
func ParseCase(name string, text []byte) (*Case, error) {
	c := &Case{Name: name, Group: "main", Limit: 60, Kernels: []string{"all"}, has: map[string]bool{}}
	fields := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		if m := headLine.FindStringSubmatch(lines.Text()); m != nil {
			if _, ok := fields[m[1]]; !ok {
				fields[m[1]] = m[2]
			}
		}
		if m := funcLine.FindStringSubmatch(lines.Text()); m != nil {
			c.has[m[1]] = true
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("case %s: %w", name, err)
	}
	number := func(field string, into *int) error {
		if fields[field] == "" {
			return nil
		}
		n, err := strconv.Atoi(fields[field])
		if err != nil || n <= 0 {
			return fmt.Errorf("case %s: %s: %q is no positive number", name, field, fields[field])
		}
		*into = n
		return nil
	}
	for field, into := range map[string]*int{"limit": &c.Limit, "limit-full": &c.LimitFull, "memory": &c.Memory, "cpus": &c.CPUs} {
		if err := number(field, into); err != nil {
			return nil, err
		}
	}
	if fields["boot"] != "" {
		c.Group = fields["boot"]
	}
	if f := strings.Fields(fields["kernels"]); len(f) > 0 {
		c.Kernels = f
	}
	c.Matrix, c.Boards = strings.Fields(fields["matrix"]), strings.Fields(fields["boards"])
	c.What, c.Append, c.Icount = fields["what"], fields["append"], fields["icount"]
	c.Modules, c.Copies = strings.Fields(fields["modules"]), strings.Fields(fields["copies"])
	c.Tests, c.Extra = strings.Fields(fields["tests"]), strings.Fields(fields["extra"])
	c.HelperNone = fields["helper"] == "none"
	c.StandsFor, c.KnownRed = Mode(fields["stands-still"]), fields["known-red"]
	c.OffTarget = fields["off-target"]
	c.testmods = len(c.Copies) > 0 || testModule.Match(text)
	c.Quick, c.Fresh, c.Signed = fields["quick"] == "yes", fields["fresh"] == "yes", fields["signed"] == "yes"
	return c, nil
}

// LoadCases reads all cases of a directory, by name.
func LoadCases(dir string) ([]*Case, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.sh"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var cases []*Case
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		c, err := ParseCase(strings.TrimSuffix(filepath.Base(f), ".sh"), text)
		if err != nil {
			return nil, err
		}
		c.File = f
		cases = append(cases, c)
	}
	return cases, nil
}

// Phases are the verdicts that the case owes in a boot of that mode.
func (c *Case) Phases(mode Mode) []string {
	var owed []string
	for _, p := range []string{"check", "control", "stock"} {
		if c.has[p] && (p == "check") == (mode == Safe) {
			owed = append(owed, p)
		}
	}
	return owed
}

// limit is the time that the case may take in its guest.
func (c *Case) limit(full bool) int {
	if full && c.LimitFull > 0 {
		return c.LimitFull
	}
	return c.Limit
}

// Applies says whether the case is part of a run on a kernel: all its kernels if wide, otherwise those that every run
// of the whole matrix includes.
func (c *Case) Applies(kernel string, wide bool) bool {
	if !matches(kernel, c.Kernels) {
		return false
	}
	if strings.HasSuffix(kernel, "-trixie") && !wide {
		return c.Quick // the same version as backports', in another build: some cases tell
	}
	return wide || len(c.Matrix) == 0 || matches(kernel, c.Matrix)
}

func matches(kernel string, patterns []string) bool {
	for _, p := range patterns {
		if ok, _ := path.Match(p, kernel); ok || p == "all" {
			return true
		}
	}
	return false
}
