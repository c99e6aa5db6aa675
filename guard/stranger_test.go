// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"path/filepath"
	"testing"

	"safeload/guard/observe"
	"safeload/guard/registry"
	"safeload/internal/proc"
)

// TestStrangers: who may be handed over to the kernel's own wait.
func TestStrangers(t *testing.T) {
	const mount = "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n"
	// A slow init, and 200, a helper that waits for it, asked for by 300.
	slow := func(s *system) {
		s.coming("a")
		s.task(1, 0, 'S', plain, 1, "ep_poll", "")
		s.task(50, 1, 'S', plain, 300, "do_wait", s.call(proc.WaitChild, -1))
		s.load(100, 50, 500, "a", "msleep")
		s.waits(200, s.helperOf(200), 510, "a")
	}
	for name, tt := range map[string]struct {
		make func(s *system)
		want bool
	}{
		"a program asks": {func(s *system) {
			slow(s)
			s.task(300, 50, 'D', plain, 400, request, mount)
		}, true},
		"many programs ask": {func(s *system) {
			slow(s)
			for i := range 5 {
				s.task(300+i, 50, 'D', plain, 400, request, mount)
			}
			s.waits(201, s.helperOf(201), 511, "a")
		}, true},
		"nobody is seen to ask": {slow, false},
		"the init asks": {func(s *system) {
			slow(s)
			s.task(300, 50, 'D', plain, 400, request, mount)
			s.load(101, 50, 500, "b", request)
		}, false},
		"a kernel thread asks as well": {func(s *system) {
			slow(s)
			s.task(300, 50, 'D', plain, 400, request, mount)
			s.kthread(301, 0, request, 505)
		}, false},
		"a helper of the kernel asks": {func(s *system) {
			slow(s)
			s.task(299, s.helperOf(299), 'S', plain, 400, "do_wait", s.call(proc.WaitChild, -1))
			s.task(300, 299, 'D', plain, 401, request, mount)
		}, false},
		"below one who loads": {func(s *system) {
			slow(s)
			s.task(300, 100, 'D', plain, 505, request, mount)
		}, false},
		"below a command of ours": {func(s *system) {
			slow(s)
			s.commands(299, 50, 400)
			s.task(300, 299, 'D', plain, 401, request, mount)
		}, false},
		"fewer are seen asking than were helped": {func(s *system) {
			slow(s)
			s.task(300, 50, 'D', plain, 400, request, mount)
			s.task(201, s.helperOf(201), 'R', plain, 512, "", "running\n")
		}, false},
		"one sleeps nobody knows where": {func(s *system) {
			slow(s)
			s.task(300, 50, 'D', plain, 400, request, mount)
			s.task(302, 50, 'D', plain, 400, "", mount)
		}, false},
		"one above is not seen": {func(s *system) {
			slow(s)
			s.task(300, 60, 'D', plain, 400, request, mount)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			tt.make(s)
			p, sys := s.open()
			defer p.Close()
			defer sys.Close()
			look := (&observe.Observer{Proc: p, Sys: sys}).Look(s.entries, true)
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
			s.coming("a")
			s.write("proc/sys/kernel/tainted", tt.tainted)
			s.task(1, 0, 'S', plain, 1, "ep_poll", "")
			s.task(50, 1, 'S', plain, 300, "do_wait", s.call(proc.WaitChild, -1))
			if tt.alive {
				s.load(100, 50, 500, "a", "msleep")
			}
			s.waits(200, s.helperOf(200), 510, "a")
			s.task(300, 50, 'D', plain, 400, request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			p, sys := s.open()
			g := New(Options{Dir: filepath.Join(s.dir, "run")})
			g.self = registry.Identity{Known: true, PID: 200, Start: 510}
			g.own = s.entries[0]
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
