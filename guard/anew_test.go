// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"path/filepath"
	"testing"

	"safeload/guard/graph"
	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TestLookBegunAnew: what an init flushes is narrowed to the workers that alone
// were busy in two looks. One look that is begun anew, because somebody holds a
// read, is one look and not two.
func TestLookBegunAnew(t *testing.T) {
	for name, holds := range map[string]bool{"one look": false, "one look, begun anew": true} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "__flush_work")
			s.AddKthread(120, observetest.Worker&^observetest.Kernel, observetest.Request, 5)
			s.AddTask(190, s.AddHelperWorker(190), 'S', observetest.Plain, 505, "do_wait", s.Call(proc.WaitChild, -1))
			s.AddWaiter(200, 190, 510, "a")
			p, sys := s.Open()
			g := New(Options{Dir: filepath.Join(s.Dir, "nowhere", "safeload")})
			g.self = registry.Identity{Known: true, PID: 200, Start: 510}
			g.own = s.Entries[0]
			c := &contest{g: g, l: Load{Module: "a"}, proc: p, sys: sys}
			defer c.close()
			// Another worker, which may be at the work and will come to its end.
			other := func() { s.AddTask(130, 2, 'R', observetest.Worker, 5, "", "running\n") }
			other()
			c.bounded(func(c *contest) { c.look() })
			if err := os.RemoveAll(filepath.Join(s.Dir, "proc/130")); err != nil {
				t.Fatal(err)
			}
			release := make(chan struct{})
			defer close(release)
			looks := 0
			c.bounded(func(c *contest) {
				looks++
				if v, _, _ := c.look(); v != verdictWait {
					t.Errorf("verdict %d at the look", v)
				}
				if holds {
					c.proc.Ask(190, func() { <-release })
				}
			})
			if holds != (looks == 2) {
				t.Fatalf("the look was begun %d times", looks)
			}
			other()
			if v, _, _ := c.boundedLook(); v != verdictWait {
				t.Fatalf("verdict %d at the look after", v)
			}
			for _, w := range c.last.System(observe.Best, nil).Waits(100) {
				if len(w.For) != 2 {
					t.Errorf("after one look the init waits for %v, want both workers", w.For)
				}
			}
			if n := len(c.last.System(observe.Best, nil).Waits(graph.ID(100))); n == 0 {
				t.Error("the init waits for nothing")
			}
		})
	}
}
