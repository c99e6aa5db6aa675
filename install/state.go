// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"safeload/internal/treefile"
)

// State is what an installation changed, as written to
// /var/lib/safeload/installed.
type State struct {
	Via    Via
	Helper string // the path by which the kernel or PATH finds it, in the system
	Copied bool   // Helper is a copy of ours, to go with the installation

	// Previous is kernel.modprobe as it was, if that is Known.
	Previous string
	Known    bool
	// Broken says that there was no working modprobe before either.
	Broken bool
	// Diverted are the names that dpkg was told of.
	Diverted []string
	// Probed says that the probe was in the kernel before, and stays.
	Probed bool
	// Unit starts Program at boot to leave the probe in the kernel.
	Unit, Program string
	// Made are directories that were not there before, the deepest first.
	Made []string
}

func (s *State) encode() []byte {
	var b strings.Builder
	b.WriteString("# What safeload install changed; safeload uninstall reads it.\n")
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s=%s\n", key, value)
		}
	}
	line("via", string(s.Via))
	line("helper", s.Helper)
	line("copied", flag(s.Copied))
	if s.Known {
		b.WriteString("previous=" + s.Previous + "\n")
	}
	line("broken", flag(s.Broken))
	for _, d := range s.Diverted {
		line("diverted", d)
	}
	line("probed", flag(s.Probed))
	line("unit", s.Unit)
	line("program", s.Program)
	for _, d := range s.Made {
		line("made", d)
	}
	return []byte(b.String())
}

func flag(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// readState returns nil without an error if nothing is installed.
func readState(path string) (*State, error) {
	text, err := treefile.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is installed: %w", err)
	}
	s, err := parseState(string(text))
	if err != nil {
		return nil, fmt.Errorf("read what is installed from %s: %w", path, err)
	}
	return s, nil
}

func parseState(text string) (*State, error) {
	s := &State{}
	for _, l := range strings.Split(text, "\n") {
		if l == "" || l[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(l, "=")
		if !ok {
			return nil, fmt.Errorf("line %q is no key=value", l)
		}
		switch key {
		case "via":
			s.Via = Via(value)
		case "helper":
			s.Helper = value
		case "copied":
			s.Copied = value == "yes"
		case "previous":
			s.Previous, s.Known = value, true
		case "broken":
			s.Broken = value == "yes"
		case "diverted":
			s.Diverted = append(s.Diverted, value)
		case "probed":
			s.Probed = value == "yes"
		case "unit":
			s.Unit = value
		case "program":
			s.Program = value
		case "made":
			s.Made = append(s.Made, value)
		}
	}
	if s.Via != Sysctl && s.Via != Divert || !strings.HasPrefix(s.Helper, "/") {
		return nil, errors.New("it is damaged: neither sysctl nor divert, or no helper")
	}
	return s, nil
}

func (r *run) writeState(st *State) error {
	return r.writeFile(stateFile, st.encode(), 0o644, "write "+stateFile+": what was there before")
}

// noteMissing adds to Made the directories that an installation will make.
func (r *run) noteMissing(st *State) {
	files := []string{stateFile}
	if st.Via == Sysctl {
		files = append(files, sysctlFile)
	}
	if st.Unit != "" {
		files = append(files, unitWanted)
	}
	if st.Copied {
		files = append(files, st.Helper)
	}
	for _, f := range files {
		for d := filepath.Dir(f); d != "/" && r.missing(d) && !slices.Contains(st.Made, d); d = filepath.Dir(d) {
			st.Made = append(st.Made, d)
		}
	}
	slices.SortFunc(st.Made, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
}

// missing reports whether a directory was not there before the lock was taken.
func (r *run) missing(dir string) bool {
	path := r.path(dir)
	return !exists(path) || r.lock != nil && slices.Contains(r.lock.made, path)
}

// unmake removes those of the directories made that are empty again.
func (r *run) unmake(st *State) {
	if r.o.DryRun {
		return
	}
	for _, d := range append([]string{stateDir}, st.Made...) {
		path := r.path(d)
		_ = os.Remove(path) // unless something else is in it, such as the lock
		if r.lock != nil {
			r.lock.made = append(r.lock.made, path)
		}
	}
}
