// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"errors"
	"slices"
	"testing"

	"safeload/guard/graph"
	"safeload/guard/survey"
)

// The loads that status finds are named, and those that are certain count.
func TestHangs(t *testing.T) {
	certain := graph.Finding{Module: "a", Kind: graph.Lock, Certainty: graph.Certain}
	likely := graph.Finding{Module: "b", Kind: graph.Queue, Certainty: graph.Likely}
	ours := certain
	ours.Ours = true
	for name, c := range map[string]struct {
		found  []graph.Finding
		err    error
		hangs  []string
		likely []string
		level  Level
	}{
		"none":                {level: OK},
		"certain":             {found: []graph.Finding{certain}, hangs: []string{"the load of a waits for a lock of the one who asked for it"}, level: Bad},
		"about to be refused": {found: []graph.Finding{ours}, hangs: []string{"the load of a waits for a lock of the one who asked for it"}, level: Note},
		"likely":              {found: []graph.Finding{likely}, likely: []string{"the load of b waits for the work item that asked for it"}, level: Warn},
		"cannot be seen":      {err: errors.New("no procfs"), level: Unknown},
	} {
		e := &examination{sys: system{root: "/"}, r: &Report{}}
		e.o.Look = func() (*survey.Survey, error) { return &survey.Survey{Findings: c.found}, c.err }
		e.hangs()
		if !slices.Equal(e.r.Hangs, c.hangs) || !slices.Equal(e.r.Likely, c.likely) || len(e.r.Checks) != 1 || e.r.Checks[0].Level != c.level {
			t.Errorf("%s: %+v", name, e.r)
		}
	}
}

// Whether locks can be read is said when it was tried.
func TestLocks(t *testing.T) {
	for name, c := range map[string]struct {
		try   func() error
		level []Level
	}{
		"not tried":   {nil, nil},
		"they can":    {func() error { return nil }, []Level{OK}},
		"they cannot": {func() error { return errors.New("no BPF") }, []Level{Note}},
	} {
		e := &examination{r: &Report{}, o: Options{TryLocks: c.try}}
		e.locks()
		var got []Level
		for _, k := range e.r.Checks {
			got = append(got, k.Level)
		}
		if !slices.Equal(got, c.level) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
