// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"path/filepath"
	"testing"

	"safeload/internal/conf"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TestOversightHeedsTheSettings: who watches a command suspects on as little as
// the settings want, as who waits for a load does.
func TestOversightHeedsTheSettings(t *testing.T) {
	for policy, want := range map[conf.Policy]bool{conf.Refuse: false, conf.Bold: true, conf.Off: false} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", "a_init")
		s.AddKthread(120, 0, observetest.Request, 505) // bears another name
		s.AddTask(200, s.AddHelperWorker(200), 'S', observetest.Plain, 510, "do_wait", s.Call(proc.WaitChild, -1))
		s.AddLoad(210, 200, 520, "a", fileWait) // of its command, and no safeload

		g := New(Options{Dir: filepath.Join(s.Dir, "safeload")})
		g.settings = func(conf.WarnFunc) conf.Settings {
			set := conf.Default()
			set.Policy = policy
			return set
		}
		g.self = registry.Identity{Known: true, PID: 200, Start: 510}
		r := registry.New(g.o.Dir)
		if err := r.Publish(registry.Entry{PID: 200, Start: 510, State: registry.StateCommand, Token: registry.NewToken()}); err != nil {
			t.Fatal(err)
		}
		p, sys := s.Open()
		o := &oversight{g: g, gap: oversightLeast}
		o.eyes.Sys = sys
		_, gap := o.circle(p, &r)
		if got := o.suspect.picture != ""; got != want {
			t.Errorf("policy %v: suspects %v, want %v", policy, got, want)
		}
		if off := policy == conf.Off; off != (gap < 0) {
			t.Errorf("policy %v: looks again after %v", policy, gap)
		}
		r.Close()
		p.Close()
		sys.Close()
	}
}
