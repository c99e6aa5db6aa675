// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"path/filepath"
	"testing"

	"safeload/internal/ancestry"
	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TestDirect: the probe's word alone refuses only where each task of the chain
// waits itself. What merely descends, or was merely asleep, is looked at.
func TestDirect(t *testing.T) {
	s := newSystem(t)
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	s.AddLoad(150, s.AddHelperWorker(150), 505, "b", observetest.Request)
	s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
	p, err := proc.OpenDir(filepath.Join(s.Dir, "proc"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := &contest{g: &Guard{self: registry.Identity{PID: 200}}, proc: p}
	type hops = []ancestry.Link
	for name, tt := range map[string]struct {
		hops hops
		want bool
	}{
		"none":                          {nil, false},
		"we are the helper":             {hops{{TID: 100, Requester: 100, Child: 200}}, true},
		"we descend from the helper":    {hops{{TID: 100, Requester: 100, Child: 199}}, false},
		"a helper that loads itself":    {hops{{TID: 100, Requester: 100, Child: 150}, {TID: 150, Requester: 150, Child: 200}}, true},
		"a helper whose child loads":    {hops{{TID: 100, Requester: 100, Child: 149}, {TID: 150, Requester: 150, Child: 200}}, false},
		"by a kernel thread":            {hops{{TID: 100, Requester: 120, Child: 200, Kthread: true, Asleep: true}}, false},
		"by a work item":                {hops{{TID: 100, Requester: 120, Child: 200, Work: true, Asleep: true}}, false},
		"by a kernel thread further up": {hops{{TID: 100, Requester: 120, Child: 150, Kthread: true, Asleep: true}, {TID: 150, Requester: 150, Child: 200}}, false},
	} {
		if got := c.direct(tt.hops); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestTrusts: where a kernel thread asked for us, the probe may have missed for
// whose init.
func TestTrusts(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(s *system)
		ask  map[int]int
		want bool
	}{
		"a process asked": {func(s *system) {
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
		}, map[int]int{200: 300}, true},
		"a kernel thread asked": {func(s *system) { s.AddKthread(120, 0, observetest.Request, 400) }, map[int]int{200: 120}, false},
		"a kernel thread asked for who asked": {func(s *system) {
			s.AddKthread(120, 0, observetest.Request, 400)
			s.AddLoad(300, s.AddHelperWorker(300), 500, "b", observetest.Request)
		}, map[int]int{200: 300, 300: 120}, false},
		"nobody knows who": {func(*system) {}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "a_init")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
			tt.make(s)
			p, err := proc.OpenDir(filepath.Join(s.Dir, "proc"))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			c := &contest{g: &Guard{self: registry.Identity{PID: 200}}, proc: p}
			if c.trusts() {
				t.Error("trusted before any look")
			}
			c.last = (&observe.Observer{Proc: p, Probe: fakeProbe{asked: tt.ask}}).Look(s.Entries, true)
			if got := c.trusts(); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}
