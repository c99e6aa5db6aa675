// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"path/filepath"
	"testing"

	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TestStrangers: who may be handed over to the kernel's own wait.
func TestStrangers(t *testing.T) {
	const mount = "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n"
	// A slow init, and 200, a helper that waits for it, asked for by 300.
	slow := func(s *system) {
		s.SetComing("a")
		s.AddTask(1, 0, 'S', observetest.Plain, 1, "ep_poll", "")
		s.AddTask(50, 1, 'S', observetest.Plain, 300, "do_wait", s.Call(proc.WaitChild, -1))
		s.AddLoad(100, 50, 500, "a", "msleep")
		s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
	}
	for name, tt := range map[string]struct {
		make func(s *system)
		want bool
	}{
		"a program asks": {func(s *system) {
			slow(s)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, mount)
		}, true},
		"many programs ask": {func(s *system) {
			slow(s)
			for i := range 5 {
				s.AddTask(300+i, 50, 'D', observetest.Plain, 400, observetest.Request, mount)
			}
			s.AddWaiter(201, s.AddHelperWorker(201), 511, "a")
		}, true},
		"nobody is seen to ask": {slow, false},
		"the init asks": {func(s *system) {
			slow(s)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, mount)
			s.AddLoad(101, 50, 500, "b", observetest.Request)
		}, false},
		"a kernel thread asks as well": {func(s *system) {
			slow(s)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, mount)
			s.AddKthread(301, 0, observetest.Request, 505)
		}, false},
		"a helper of the kernel asks": {func(s *system) {
			slow(s)
			s.AddTask(299, s.AddHelperWorker(299), 'S', observetest.Plain, 400, "do_wait", s.Call(proc.WaitChild, -1))
			s.AddTask(300, 299, 'D', observetest.Plain, 401, observetest.Request, mount)
		}, false},
		"below one who loads": {func(s *system) {
			slow(s)
			s.AddTask(300, 100, 'D', observetest.Plain, 505, observetest.Request, mount)
		}, false},
		"below a command of ours": {func(s *system) {
			slow(s)
			s.AddCommand(299, 50, 400)
			s.AddTask(300, 299, 'D', observetest.Plain, 401, observetest.Request, mount)
		}, false},
		"fewer are seen asking than were helped": {func(s *system) {
			slow(s)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, mount)
			s.AddTask(201, s.AddHelperWorker(201), 'R', observetest.Plain, 512, "", "running\n")
		}, false},
		"one sleeps nobody knows where": {func(s *system) {
			slow(s)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, mount)
			s.AddTask(302, 50, 'D', observetest.Plain, 400, "", mount)
		}, false},
		"one above is not seen": {func(s *system) {
			slow(s)
			s.AddTask(300, 60, 'D', observetest.Plain, 400, observetest.Request, mount)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			tt.make(s)
			p, sys := s.Open()
			defer p.Close()
			defer sys.Close()
			look := (&observe.Observer{Proc: p, Sys: sys}).Look(s.Entries, true)
			if got := look.AskedByStrangers(registry.Identity{PID: 200}); got != tt.want {
				t.Errorf("apart from any load: %v, want %v", got, tt.want)
			}
			if look.AskedByStrangers(registry.Identity{PID: 200, Parent: registry.NewToken()}) {
				t.Error("one of a command of ours is taken for a stranger's")
			}
			if look.AllAskedByStrangers() && !tt.want {
				t.Error("it would tell the others that all are")
			}
		})
	}
}

// TestStrangersOfTheDead: whoever asks, a module whose init may have died with
// its task is not given to the kernel.
func TestStrangersOfTheDead(t *testing.T) {
	for name, tt := range map[string]struct {
		tainted string
		alive   bool
		want    bool
	}{
		"the init runs":                      {"4096\n", true, true},
		"the init runs, in an oopsed kernel": {"4224\n", true, true},
		"nobody runs it in an oopsed kernel": {"4224\n", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.SetComing("a")
			s.Write("proc/sys/kernel/tainted", tt.tainted)
			s.AddTask(1, 0, 'S', observetest.Plain, 1, "ep_poll", "")
			s.AddTask(50, 1, 'S', observetest.Plain, 300, "do_wait", s.Call(proc.WaitChild, -1))
			if tt.alive {
				s.AddLoad(100, 50, 500, "a", "msleep")
			}
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			p, sys := s.Open()
			g := New(Options{Dir: filepath.Join(s.Dir, "run")})
			g.self = registry.Identity{Known: true, PID: 200, Start: 510}
			g.own = s.Entries[0]
			c := &contest{g: g, l: Load{Module: "a"}, proc: p, sys: sys}
			t.Cleanup(func() {
				c.close()
				g.Close()
			})
			c.boundedLook()
			if !c.free {
				t.Fatal("who asks is no stranger: the test has the wrong system")
			}
			if got := c.free && !c.vacant(); got != tt.want {
				t.Errorf("it is submitted: %v, want %v", got, tt.want)
			}
		})
	}
}
