// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"
	"time"

	"safeload/guard/graph"
	"safeload/internal/clock"
	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// shoots looks, lets f happen, and looks again.
func (s *system) shoots(f func()) (before, now *observe.Waits) {
	s.T.Helper()
	p, sys := s.Open()
	s.T.Cleanup(p.Close)
	s.T.Cleanup(sys.Close)
	eyes := &observe.Observer{Proc: p, Sys: sys, Bold: s.Bold, BootAhead: s.BootAhead}
	before = eyes.Look(s.Entries, true)
	before.System(observe.Patient, nil)
	f()
	return before, eyes.Look(s.Entries, true)
}

// newPolled: the init of a, which 100 loads, waits for a command, whose shell sleeps in its child 152 for what 200 does; that one
// waits for a.
func newPolled(t *testing.T) *system {
	s := newSystem(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	token := s.AddCommand(150, s.AddHelperWorker(150), 505)
	s.AddTask(151, 150, 'S', observetest.Plain, 506, "do_wait", s.Call(proc.WaitChild, -1))
	s.AddTask(152, 151, 'S', observetest.Plain, 507, "hrtimer_nanosleep", s.Call(proc.Sleep))
	s.AddWaiter(200, 1, 510, "a")
	s.Entries[1].Parent = token
	return s
}

// sleepsAgain: the shell's sleep is over, and another has begun.
func (s *system) sleepsAgain() {
	s.Remove(152)
	s.AddTask(153, 151, 'S', observetest.Plain, 520, "hrtimer_nanosleep", s.Call(proc.Sleep))
}

func TestPollingCommand(t *testing.T) {
	for name, poll := range map[string]bool{"many short sleeps": true, "one long sleep": false} {
		t.Run(name, func(t *testing.T) {
			s := newPolled(t)
			before, now := s.shoots(func() {
				if poll {
					s.sleepsAgain()
				}
			})
			if got := len(now.System(observe.Patient, before).Stuck(graph.Likely).Knot(200)) > 0; got != poll {
				t.Errorf("in a circle when read patiently: %v, want %v", got, poll)
			}
			if len(now.System(observe.Best, before).Stuck(graph.Likely).Knot(200)) > 0 {
				t.Error("in a circle when read as usual")
			}
		})
	}
}

// TestPollsShortSleep: a look that makes sure of another comes a moment after it, and finds a command that polls in the same
// short sleep. One that is seen for a second is long.
func TestPollsShortSleep(t *testing.T) {
	s := newPolled(t)
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, BootAhead: s.BootAhead}
	var before *observe.Waits
	look := func(want bool, when string) {
		t.Helper()
		now := eyes.Look(s.Entries, true)
		for range 2 { // readings of one look
			if got := len(now.System(observe.Patient, before).Stuck(graph.Likely).Knot(200)) > 0; got != want {
				t.Errorf("%s: in a circle %v, want %v", when, got, want)
			}
		}
		before = now
	}
	look(false, "the first")
	s.sleepsAgain()
	look(true, "another sleep")
	look(true, "the same, a moment later")
	time.Sleep(time.Second)
	look(false, "the same, a second later")
	look(false, "and later")
}

// judge says what the waiter self would be told after two equal looks, and
// whether the suspicion counts too.
func (s *system) judge(self int, probe observe.Ancestry) (proven, suspected bool) {
	s.T.Helper()
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, Probe: probe, Bold: s.Bold, BootAhead: s.BootAhead}
	before := eyes.Look(s.Entries, true)
	now := eyes.Look(s.Entries, true)
	proof := now.System(observe.Exact, before).Stuck(graph.Certain)
	guess := now.System(observe.Best, before).Stuck(graph.Likely)
	id := graph.ID(self)
	holds := func(st *graph.Stuck, suspected bool) bool {
		return len(st.Knot(id)) > 0 && now.Picture(st.Reach(id)) != "" && victim(now, st, guess, id, suspected)
	}
	return holds(proof, false), holds(guess, true)
}

type refusable struct{ proven, suspected bool }

func TestVerdicts(t *testing.T) {
	const flush = "__flush_work"
	for name, tt := range map[string]struct {
		make  func(s *system)
		want  map[int]refusable // by waiter
		probe observe.Ancestry
	}{
		"asks for itself": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {true, true}}},
		"slow init, asked for from elsewhere": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "msleep")
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {}}},
		"running init": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {}}},
		"helper older than the load": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddWaiter(200, s.AddHelperWorker(200), 490, "a")
		}, want: map[int]refusable{200: {}}},
		"helper older than the load of an older process": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.Entries = append(s.Entries, registry.Entry{PID: 100, Start: 500, State: registry.StateLoad, Module: "a", Since: 600 * clock.Tick, Token: registry.NewToken()})
			s.AddWaiter(200, s.AddHelperWorker(200), 550, "a")
		}, want: map[int]refusable{200: {}}},
		"the helper above the load is not its own": {make: func(s *system) {
			s.SetComing("a")
			s.AddTask(150, s.AddHelperWorker(150), 'R', observetest.Plain, 490, "", "running\n")
			s.AddLoad(151, 150, 500, "a", observetest.Request)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {true, true}}},
		"helper that nobody waits for (UMH_NO_WAIT)": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddWaiter(200, 2, 510, "a")
		}, want: map[int]refusable{200: {}}},
		"started by a user": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddWaiter(200, 50, 510, "a")
		}, want: map[int]refusable{200: {}}},
		"its helper is another, at work": {make: func(s *system) {
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddLoad(150, s.AddHelperWorker(150), 505, "b", "msleep")
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {}}},
		"more requesters than helpers": {make: func(s *system) {
			// 300's helper is not among those seen, or it waits for another
			// thing: then perhaps so does 100.
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {false, true}}},
		"two hops, the last one closes": {make: func(s *system) {
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddLoad(150, s.AddHelperWorker(150), 505, "b", observetest.Request)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {true, true}}},
		"crossing": {make: func(s *system) {
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddLoad(110, 50, 500, "b", observetest.Request)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "b")
			s.AddWaiter(210, s.AddHelperWorker(210), 511, "a")
		}, want: map[int]refusable{200: {}, 210: {true, true}}},
		"crossing, one of them kmod's": {make: func(s *system) {
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddLoad(110, 50, 500, "b", observetest.Request)
			s.AddLoad(200, s.AddHelperWorker(200), 512, "b", "sys_finit_module")
			s.AddWaiter(210, s.AddHelperWorker(210), 511, "a")
		}, want: map[int]refusable{210: {true, true}}},
		"through a kernel thread": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "a_init")
			s.AddKthread(120, 0, observetest.Request, 505)
			s.SetComm(120, "a")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {false, true}}},
		"a kernel thread older than the load": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "a_init")
			s.AddKthread(120, 0, observetest.Request, 400)
			s.SetComm(120, "a")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {}}},
		"a kernel thread, but init sleeps for a time": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "msleep")
			s.AddKthread(120, 0, observetest.Request, 505)
			s.SetComm(120, "a")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {}}},
		"through a work item": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", flush)
			s.AddKthread(120, observetest.Worker&^observetest.Kernel, observetest.Request, 5)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {false, true}}},
		"a worker asks, but init flushes nothing": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "a_init")
			s.AddKthread(120, observetest.Worker&^observetest.Kernel, observetest.Request, 5)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {}}},
		"through a command and a shell": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddTask(150, s.AddHelperWorker(150), 'S', observetest.Plain, 505, "do_wait", s.Call(proc.WaitChild, 151))
			s.AddTask(151, 150, 'S', observetest.Plain, 506, "do_wait", s.Call(proc.WaitChild, -1))
			s.AddWaiter(200, 151, 510, "a")
		}, want: map[int]refusable{200: {true, true}}},
		"a child that is merely alive": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddTask(150, s.AddHelperWorker(150), 'S', observetest.Plain, 505, "do_wait", s.Call(proc.WaitChild, -1))
			s.AddTask(152, 150, 'S', observetest.Plain, 506, "hrtimer_nanosleep", s.Call(proc.Sleep))
			s.AddWaiter(200, 150, 510, "a")
		}, want: map[int]refusable{200: {}}},
		"below a shell that sleeps in sigsuspend": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddCommand(150, s.AddHelperWorker(150), 505)
			s.AddTask(151, 150, 'S', observetest.Plain, 506, "sigsuspend", s.Call(proc.Other))
			s.AddWaiter(200, 151, 510, "a")
		}, want: map[int]refusable{200: {false, true}}},
		"a daemon of a command that reads from it": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			token := s.AddCommand(150, s.AddHelperWorker(150), 505)
			s.AddTask(151, 150, 'S', observetest.Plain, 506, "pipe_read", s.Call(proc.Other))
			s.AddWaiter(200, 1, 510, "a")
			s.Entries[1].Parent = token
		}, want: map[int]refusable{200: {false, true}}},
		"a daemon of a command that sleeps": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			token := s.AddCommand(150, s.AddHelperWorker(150), 505)
			s.AddTask(151, 150, 'S', observetest.Plain, 506, "hrtimer_nanosleep", s.Call(proc.Sleep))
			s.AddWaiter(200, 1, 510, "a")
			s.Entries[1].Parent = token
		}, want: map[int]refusable{200: {}}},
		"bystanders wait on": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
			s.AddWaiter(210, 50, 520, "a")
			s.AddWaiter(220, 50, 530, "a")
		}, want: map[int]refusable{200: {true, true}, 210: {}, 220: {}}},
		"the probe tells a kernel request from another": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddTask(300, 50, 'D', observetest.Plain, 400, observetest.Request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
			s.AddWaiter(210, s.AddHelperWorker(210), 511, "a")
		}, want: map[int]refusable{200: {true, true}, 210: {}}, probe: fakeProbe{asked: map[int]int{200: 100, 210: 300}}},
		"the probe clears the one /proc would suspect": {make: func(s *system) {
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "a_init")
			s.AddKthread(120, 0, observetest.Request, 505)
			s.SetComm(120, "a")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		}, want: map[int]refusable{200: {}}, probe: fakeProbe{asked: map[int]int{200: 120}, acts: map[int]int{120: 999}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			tt.make(s)
			for self, want := range tt.want {
				proven, suspected := s.judge(self, tt.probe)
				if proven != want.proven || suspected != want.suspected {
					t.Errorf("waiter %d: proven %v, suspected %v; want %v, %v", self, proven, suspected, want.proven, want.suspected)
				}
			}
		})
	}
}

// What only seems to be in finit_module, a task of anybody's that is held
// before the call, runs no init.
func TestWithoutTheRight(t *testing.T) {
	s := newSystem(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
	s.AddLoad(300, 50, 520, "a", "seccomp_do_user_notification")
	s.WriteTask(300, "status", "CapEff:\t0000000000000000\nvoluntary_ctxt_switches:\t5\n")
	if proven, _ := s.judge(200, nil); !proven {
		t.Error("a task that cannot load keeps a circle from being seen")
	}
}

// Whoever may not load is not asked for his call, which may take for ever, but
// for the shells above a load.
func TestOthersCalls(t *testing.T) {
	s := newSystem(t)
	s.SetComing("a")
	none := "CapEff:\t0000000000000000\nvoluntary_ctxt_switches:\t5\n"
	s.AddTask(60, 1, 'S', observetest.Plain, 490, "do_wait", s.Call(proc.WaitChild))
	s.WriteTask(60, "status", none)
	s.AddTask(61, 60, 'S', observetest.Plain, 491, "do_wait", s.Call(proc.WaitChild))
	s.AddLoad(100, 61, 500, "a", "msleep")
	s.AddTask(300, 1, 'S', observetest.Plain, 510, "do_wait", s.Call(proc.WaitChild))
	s.WriteTask(300, "status", none)
	s.AddTask(310, 1, 'D', observetest.Plain, 510, observetest.Request, s.Call(proc.Other))
	s.WriteTask(310, "status", none)
	p, sys := s.Open()
	got := (&observe.Observer{Proc: p, Sys: sys}).Look(nil, true)
	for pid, kind := range map[int]proc.Kind{60: proc.WaitChild, 61: proc.WaitChild, 100: proc.FinitModule, 300: proc.Other} {
		if k := got.Tasks[pid].Kind; k != kind {
			t.Errorf("task %d: call %v, want %v", pid, k, kind)
		}
	}
	if !got.Tasks[310].Requester() {
		t.Error("a request of a user's is not seen")
	}
}

// The init of a safeload's load may sleep again and again, as anybody's.
func TestLoadOfOursMoves(t *testing.T) {
	for _, moves := range []bool{false, true} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", "a_init")
		s.Entries = append(s.Entries, registry.Entry{PID: 100, Start: 500, State: registry.StateLoad, Module: "a", Since: 500 * clock.Tick, Token: registry.NewToken()})
		s.AddKthread(120, 0, observetest.Request, 505)
		s.SetComm(120, "a")
		s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		id := graph.ID(200)
		picture := func(s *observe.Waits, before *observe.Waits) string {
			st := s.System(observe.Best, before).Stuck(graph.Likely)
			if len(st.Knot(id)) == 0 {
				t.Fatal("not in a circle")
			}
			return s.Picture(st.Reach(id))
		}
		var first string
		before, now := s.shoots(func() {})
		first = picture(before, nil)
		if moves {
			s.WriteTask(100, "status", "voluntary_ctxt_switches:\t6\nnonvoluntary_ctxt_switches:\t1\n")
		}
		if got := picture(now, before) != first; got != moves {
			t.Errorf("the init has run: %v, and its picture has changed: %v", moves, got)
		}
	}
}

type fakeProbe struct {
	asked, acts map[int]int
}

func (f fakeProbe) Requester(pid int) (int, bool) { t, ok := f.asked[pid]; return t, ok }
func (f fakeProbe) StartedBy(tid int) (int, bool) { t, ok := f.acts[tid]; return t, ok }

// A shell of an install command in its builtin wait shows no wait(2).
func TestShellAboveAWaiter(t *testing.T) {
	for wchan, want := range map[string]refusable{"sigsuspend": {suspected: true}, "hrtimer_nanosleep": {}} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", observetest.Request)
		s.AddTask(150, s.AddHelperWorker(150), 'S', observetest.Plain, 505, "do_wait", s.Call(proc.WaitChild, -1))
		s.AddTask(151, 150, 'S', observetest.Plain, 506, wchan, s.Call(proc.Other))
		s.AddLoad(200, 151, 510, "a", fileWait)
		proof, guess := s.stuck(200)
		if proof || guess != want.suspected {
			t.Errorf("%s: proven %v, suspected %v, want %+v", wchan, proof, guess, want)
		}
	}
}
