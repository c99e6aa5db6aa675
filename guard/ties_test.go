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
)

// story is a system whose times are told in the past: what began or fell asleep
// so long ago.
type story struct {
	*system
	now int64
}

func newStory(t *testing.T) *story {
	s := &story{newSystem(t), clock.Boot()}
	s.SetComing("m")
	ahead := s.now - int64(time.Hour) // of what ran writes
	s.BootAhead = &ahead
	return s
}

func (s *story) start(ago time.Duration) int { return int((s.now - int64(ago)) / clock.Tick) }

// init is the load of m, by task 100, asleep in wchan since then.
func (s *story) init(wchan string, fell time.Duration) {
	s.AddLoad(100, 50, s.start(30*time.Second), "m", wchan)
	s.asleep(100, fell)
}

func (s *story) asleep(pid int, since time.Duration) {
	if since >= 0 {
		s.system.ran(pid, pid, since)
	}
}

// asks is a kernel thread that has asked for us, a helper that pid is.
func (s *story) asks(tid int, name string, began, asked time.Duration, pid int) {
	s.AddKthread(tid, 0, observetest.Request, s.start(began))
	s.SetComm(tid, name)
	s.asleep(tid, asked)
	s.helper(pid, asked)
}

// works is a worker at an item of a queue, since then; at its request for pid,
// if there is one.
func (s *story) works(tid int, queue, wchan string, since time.Duration, pid int) {
	s.AddKthread(tid, observetest.Worker&^observetest.Kernel, wchan, 5)
	s.SetComm(tid, "kworker/u4:1+"+queue)
	s.asleep(tid, since)
	if pid > 0 {
		s.helper(pid, since)
	}
}

func (s *story) helper(pid int, asked time.Duration) {
	w := s.AddHelperWorker(pid)
	s.AddKthread(w, observetest.Worker&^observetest.Kernel, "", 1)
	s.SetComm(w, "kworker/u4:9+events_unbound")
	s.asleep(w, asked)
	s.AddWaiter(pid, w, s.start(asked), "m")
}

// probes: the init sleeps for the crypto manager, whose thread began at that very moment and asks.
func (s *story) probes() {
	s.init("crypto_larval_wait", 20*sec)
	s.asks(120, "cryptomgr_probe", 20*sec+10*ms, 20*sec, 200)
}

// user is a program that sleeps in state D in wchan, since then; less than 0: the kernel does not tell.
func (s *story) user(wchan string, since time.Duration) {
	s.AddTask(300, 1, 'D', observetest.Plain, s.start(25*sec), wchan, s.Call(proc.Other))
	s.asleep(300, since)
}

// userThread is a thread of a program that does so since the moment of probes.
func (s *story) userThread(wchan string) {
	s.AddTask(300, 1, 'S', observetest.Plain, s.start(25*sec), "futex_wait_queue", s.Call(proc.Other))
	s.asleep(300, sec)
	s.AddThread(300, 301, s.Call(proc.Other))
	s.system.ran(300, 301, 20*sec-ms)
	s.Write("proc/300/task/301/status", "Name:\tx\nState:\tD (disk sleep)\n")
	s.Write("proc/300/task/301/wchan", wchan)
}

// moved: the kernel has moved tasks that sleep to another processor, and forgotten when they ran.
func (s *story) moved(pids ...int) { s.LastRan(0, pids...) }

const sec, ms = time.Second, time.Millisecond

// TestTies: which requests an init is taken to wait for, where no probe runs.
func TestTies(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(s *story)
		want bool
		bold bool // wanted where the settings are bold
	}{
		"a thread with its name, from before it slept": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "m", 20*sec+10*ms, 20*sec, 200)
		}, true, true},
		"its name, from long before": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "m", 25*sec, 12*sec, 200)
		}, true, true},
		"its name, but begun while it slept": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "m", 19*sec, 19*sec, 200)
		}, false, false},
		"a stranger's, at the very moment": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "slhub", 20*sec, 20*sec, 200)
		}, false, true},
		"a stranger's, before": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "slhub", 22*sec, 22*sec, 200)
		}, false, true},
		"a stranger's, after": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "slhub", 18*sec, 18*sec, 200)
		}, false, false},
		"a stranger's that runs its code": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "kthread", 20*sec, 20*sec, 200)
			s.WriteTask(120, "stack", "[<0>] call_usermodehelper_exec+0x1/0x2\n[<0>] m_thread+0x1/0x2 [m]\n")
		}, true, true},
		"one that runs another's code": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "kthread", 20*sec, 20*sec, 200)
			s.WriteTask(120, "stack", "[<0>] call_usermodehelper_exec+0x1/0x2\n[<0>] ask+0x1/0x2 [mm]\n")
		}, false, true},
		"its name, and no times": {func(s *story) {
			s.init("m_init", -1)
			s.asks(120, "m", 20*sec, -1, 200)
		}, true, true},
		"its name, and the kernel has moved the helper's worker": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "m", 20*sec+10*ms, 20*sec, 200)
			s.moved(observetest.HelperWorker(200))
		}, true, true},
		"its name, and the kernel has moved all who sleep": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "m", 20*sec+10*ms, 20*sec, 200)
			s.moved(100, 120, observetest.HelperWorker(200))
		}, true, true},
		"the incident, and the kernel has moved the init": {func(s *story) {
			s.init("crypto_wait_for_test", 20*sec)
			s.asks(120, "cryptomgr_test", 20*sec+20*ms, 20*sec-10*ms, 200)
			s.moved(100)
		}, true, true},
		"the incident, a user asleep, and the kernel has moved him": {func(s *story) {
			s.probes()
			s.user("crypto_larval_wait", -1)
			s.moved(300)
		}, false, true},
		"the incident of 2020": {func(s *story) {
			s.init("crypto_wait_for_test", 20*sec)
			s.asks(120, "cryptomgr_test", 20*sec+20*ms, 20*sec-10*ms, 200)
		}, true, true},
		"the incident of 2024": {func(s *story) {
			s.init("crypto_larval_wait", 20*sec)
			s.AddKthread(110, 0, "crypto_larval_wait", s.start(20*sec+10*ms))
			s.SetComm(110, "cryptomgr_test")
			s.asleep(110, 20*sec-12*ms)
			s.asks(120, "cryptomgr_probe", 20*sec-10*ms, 20*sec-112*ms, 200)
		}, true, true},
		"the incident, the tests take their time": {func(s *story) {
			s.init("crypto_larval_wait", 20*sec)
			s.AddKthread(110, 0, "crypto_larval_wait", s.start(21*sec))
			s.SetComm(110, "cryptomgr_test")
			s.asleep(110, 17*sec)
			s.asks(120, "cryptomgr_probe", 17*sec, 16*sec, 200)
		}, true, true},
		"the incident, with no times": {func(s *story) {
			s.init("crypto_larval_wait", -1)
			s.AddKthread(110, 0, "crypto_larval_wait", s.start(20*sec))
			s.SetComm(110, "cryptomgr_test")
			s.asks(120, "cryptomgr_probe", 20*sec, -1, 200)
		}, true, true},
		"no times, and a user asleep": {func(s *story) {
			s.init("crypto_larval_wait", -1)
			s.asks(120, "cryptomgr_probe", 20*sec, -1, 200)
			s.user("crypto_larval_wait", -1)
		}, false, true},
		"a user has the crypto manager probe": {func(s *story) {
			s.init("crypto_larval_wait", 20*sec)
			s.asks(120, "cryptomgr_probe", 18*sec, 18*sec, 200)
			s.user("crypto_larval_wait", 18*sec)
		}, false, false},
		"he is gone": {func(s *story) {
			s.init("crypto_larval_wait", 20*sec)
			s.asks(120, "cryptomgr_probe", 18*sec, 18*sec, 200)
		}, false, false},
		"a user at the very moment": {func(s *story) {
			s.probes()
			s.user("crypto_larval_wait", 20*sec-ms)
		}, false, true},
		"a user's thread at the very moment": {func(s *story) {
			s.probes()
			s.userThread("crypto_larval_wait")
		}, false, true},
		"a user who sleeps since another time": {func(s *story) {
			s.probes()
			s.user("crypto_larval_wait", 18*sec)
		}, true, true},
		"the crypto manager at the very moment, and an init that sleeps elsewhere": {func(s *story) {
			s.init("m_init", 20*sec)
			s.asks(120, "cryptomgr_probe", 20*sec+10*ms, 20*sec, 200)
		}, false, true},
		"a user at the very moment, nobody knows where": {func(s *story) {
			s.probes()
			s.user("", 20*sec-ms)
		}, false, true},
		"a user who has gone on since he was read": {func(s *story) {
			s.probes()
			s.user("", 20*sec-ms)
			s.WriteTask(300, "status", "State:\tR (running)\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t1\n")
		}, true, true},
		"a user asleep for a disk at the very moment": {func(s *story) {
			s.probes()
			s.user("folio_wait_bit_common", 20*sec-ms)
		}, true, true},
		"a user's thread asleep for a disk at the very moment": {func(s *story) {
			s.probes()
			s.userThread("folio_wait_bit_common")
		}, true, true},
		"a worker asleep for a disk at the very moment": {func(s *story) {
			s.probes()
			s.works(121, "events", "blk_execute_rq", 20*sec-ms, 0)
		}, true, true},
		"a worker asleep for the crypto manager at the very moment": {func(s *story) {
			s.probes()
			s.works(121, "events", "crypto_larval_wait", 20*sec-ms, 0)
		}, false, true},
		"a test that slept before the probe began": {func(s *story) {
			s.init("crypto_larval_wait", 20*sec)
			s.AddKthread(110, 0, "crypto_larval_wait", s.start(20*sec+10*ms))
			s.SetComm(110, "cryptomgr_test")
			s.asleep(110, 20*sec)
			s.asks(120, "cryptomgr_probe", 15*sec, 15*sec, 200)
		}, false, false},
		"work, and no other worker is busy": {func(s *story) {
			s.init("__flush_work", 20*sec)
			s.works(120, "events_unbound", observetest.Request, 12*sec, 200)
		}, true, true},
		"the flush of a queue": {func(s *story) {
			s.init("__flush_workqueue", 20*sec)
			s.works(120, "events_unbound", observetest.Request, 12*sec, 200)
		}, true, true},
		"probes of devices, which a process may be at": {func(s *story) {
			s.init("wait_for_device_probe", 20*sec)
			s.works(120, "slhub", observetest.Request, 12*sec, 200)
		}, false, true},
		"probes of devices, and a queue of its name": {func(s *story) {
			s.init("wait_for_device_probe", 20*sec)
			s.works(120, "m", observetest.Request, 12*sec, 200)
		}, true, true},
		"work, and one sleeps at the init's": {func(s *story) {
			s.init("__flush_work", 20*sec)
			s.works(120, "slhub", observetest.Request, 20*sec, 200)
			s.works(121, "events_unbound", "slow", 20*sec, 0)
		}, false, true},
		"work, and a worker runs": {func(s *story) {
			s.init("__flush_work", 20*sec)
			s.works(120, "slhub", observetest.Request, 20*sec, 200)
			s.AddTask(121, 2, 'R', observetest.Worker, 5, "", "running\n")
			s.SetComm(121, "kworker/0:1H+kblockd")
		}, false, true},
		"work, and an idle worker": {func(s *story) {
			s.init("__flush_work", 20*sec)
			s.works(120, "events_unbound", observetest.Request, 20*sec, 200)
			s.AddTask(121, 2, 'I', observetest.Worker, 5, "worker_thread", "-1 0x0 0x0\n")
			s.SetComm(121, "kworker/u4:3-flush-8:0")
			s.AddTask(122, 2, 'I', observetest.Worker, 5, "worker_thread", "-1 0x0 0x0\n")
			s.SetComm(122, "kworker/1:0")
		}, true, true},
		"work, of a kernel that does not name queues": {func(s *story) {
			s.init("__flush_work", 20*sec)
			s.works(120, "events_unbound", observetest.Request, 20*sec, 200)
			s.AddTask(121, 2, 'S', observetest.Worker, 5, "slow", "-1 0x0 0x0\n")
			s.SetComm(121, "kworker/u4:3")
		}, false, true},
		"a queue of its name, though others are busy": {func(s *story) {
			s.init("__flush_work", 20*sec)
			s.works(120, "m", observetest.Request, 20*sec, 200)
			s.works(121, "events_unbound", "slow", 20*sec, 0)
		}, true, true},
		"another at the queue of its name": {func(s *story) {
			s.init("__flush_workqueue", 20*sec)
			s.works(120, "events", observetest.Request, 20*sec, 200)
			s.works(121, "m", "slow", 20*sec, 0)
		}, false, false},
		"another runs its code": {func(s *story) {
			s.init("__flush_work", 20*sec)
			s.works(120, "events", observetest.Request, 20*sec, 200)
			s.works(121, "events", observetest.Request, 20*sec, 201)
			s.WriteTask(121, "stack", "[<0>] ask+0x1/0x2 [m]\n")
		}, false, false},
		"work, but init flushes nothing": {func(s *story) {
			s.init("m_init", 20*sec)
			s.works(120, "events", observetest.Request, 20*sec, 200)
		}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, bold := range []bool{false, true} {
				s := newStory(t)
				s.Bold = bold
				tt.make(s)
				want := tt.want
				if bold {
					want = tt.bold
				}
				if proven, suspected := s.judge(200, nil); proven || suspected != want {
					t.Errorf("bold %v: proven %v, suspected %v, want %v", bold, proven, suspected, want)
				}
			}
		})
	}
}

// TestRivals: who sleeps where the crypto manager's thread may be for him is a rival of the init's for as long as he sleeps, or for
// good if he may have been killed.
func TestRivals(t *testing.T) {
	for name, tt := range map[string]struct {
		at, then    func(s *story) // as the first look finds it, and the second
		first, want bool
	}{
		"nobody": {nil, nil, true, true},
		"a worker, nobody knows where, who has gone on": {func(s *story) {
			s.AddTask(121, 2, 'D', observetest.Worker, 5, "", "-1 0x0 0x0\n")
			s.asleep(121, 20*sec-ms)
		}, func(s *story) { s.AddTask(121, 2, 'I', observetest.Worker, 5, "worker_thread", "-1 0x0 0x0\n") }, false, true},
		"a worker who sleeps on": {func(s *story) {
			s.works(121, "events", "crypto_larval_wait", 20*sec-ms, 0)
		}, nil, false, false},
		"a user who is gone": {func(s *story) {
			s.user("crypto_larval_wait", 20*sec-ms)
		}, func(s *story) { s.Remove(300) }, false, false},
		"a user who was not asleep yet": {func(s *story) {
			s.AddTask(300, 1, 'R', observetest.Plain, s.start(25*sec), "", s.Call(proc.Other))
		}, func(s *story) {
			s.user("crypto_larval_wait", 20*sec-ms)
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.probes()
			p, sys := s.Open()
			defer p.Close()
			defer sys.Close()
			eyes := &observe.Observer{Proc: p, Sys: sys, BootAhead: s.BootAhead}
			look := func(change func(s *story), want bool, which string) {
				if change != nil {
					change(s)
				}
				now := eyes.Look(s.Entries, true)
				for range 2 { // readings of one look
					if got := now.System(observe.Best, nil).Stuck(graph.Likely).Has(100); got != want {
						t.Errorf("%s look: stuck %v, want %v", which, got, want)
					}
				}
			}
			look(tt.at, tt.first, "first")
			look(tt.then, tt.want, "second")
		})
	}
}

// TestBusyForAMoment: workers that are busy for a moment, look after look, do
// not hide that an init flushes what asks, once two looks found them idle; one
// that was always busy does.
func TestBusyForAMoment(t *testing.T) {
	s := newStory(t)
	s.init("__flush_work", 20*sec)
	s.works(120, "events_unbound", observetest.Request, 20*sec, 200)
	s.works(121, "events", "slow", 20*sec, 0)
	s.works(122, "events", "slow", 20*sec, 0)
	idle := func(tids ...int) {
		for _, tid := range tids {
			s.SetComm(tid, "kworker/0:1-events")
		}
	}
	busy := func(tid int) { s.SetComm(tid, "kworker/0:1+events") }
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, BootAhead: s.BootAhead}
	look := func(want bool, when string) {
		t.Helper()
		now := eyes.Look(s.Entries, true)
		for range 2 { // readings of one look
			if got := now.System(observe.Best, nil).Stuck(graph.Likely).Has(100); got != want {
				t.Errorf("%s: stuck %v, want %v", when, got, want)
			}
		}
	}
	look(false, "both busy")
	idle(121)
	look(false, "one busy")
	idle(122)
	look(true, "none busy")
	busy(121)
	look(false, "busy again, after one look at none")
	idle(121)
	look(true, "none busy again")
	busy(122)
	look(true, "busy again, after two")
	s.WriteTask(120, "status", "voluntary_ctxt_switches:\t9\nnonvoluntary_ctxt_switches:\t1\n")
	look(false, "the one that asks has moved")
}

// TestLateHelper: a machine that has no time starts a helper long after it was asked for. It is the requester's all the same if
// there is no other, but not if it was there before, or if there is another.
func TestLateHelper(t *testing.T) {
	for name, tt := range map[string]struct {
		started time.Duration // how long ago
		other   time.Duration // another helper, of somebody who cannot be seen, if any
		want    bool
	}{
		"a moment later":                    {20*sec - ms, 0, true},
		"much later":                        {18 * sec, 0, true},
		"much later, beside a stranger's":   {18 * sec, 19 * sec, false},
		"before it was asked for":           {20*sec + 400*ms, 0, false},
		"a moment later, and a stranger's":  {20*sec - ms, 15 * sec, true},
		"a moment before, on another clock": {20*sec + ms, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.init("__flush_work", 20*sec+2*ms)
			s.works(120, "events", observetest.Request, 20*sec, 0)
			s.helper(200, tt.started)
			if tt.other > 0 {
				s.helper(210, tt.other)
			}
			if proven, suspected := s.judge(200, nil); proven || suspected != tt.want {
				t.Errorf("proven %v, suspected %v, want %v", proven, suspected, tt.want)
			}
		})
	}
}

// TestOwed: the one who fails is the helper of the thread in question, never
// another who waits for the same load, though he came later.
func TestOwed(t *testing.T) {
	type who struct{ own, stranger bool }
	for name, tt := range map[string]struct {
		asked, strangers time.Duration // how long ago
		seen             bool          // the stranger's request
		want             who
	}{
		"he asked later":                 {20 * sec, 15 * sec, true, who{own: true}},
		"he asked before":                {15 * sec, 20 * sec, true, who{own: true}},
		"at the same time":               {15 * sec, 15 * sec, true, who{}},
		"later, and it cannot be seen":   {20 * sec, 15 * sec, false, who{own: true}},
		"at once, and it cannot be seen": {15 * sec, 15 * sec, false, who{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.init("m_init", 21*sec)
			s.asks(120, "m", 21*sec, tt.asked, 200)
			s.helper(210, tt.strangers-ms)
			if tt.seen {
				s.AddTask(300, 1, 'D', observetest.Plain, s.start(25*sec), observetest.Request, s.Call(proc.Other))
				s.asleep(300, tt.strangers)
			}
			var got who
			_, got.own = s.judge(200, nil)
			_, got.stranger = s.judge(210, nil)
			if got != tt.want {
				t.Errorf("refused: its own %v, the stranger's %v; want %+v", got.own, got.stranger, tt.want)
			}
		})
	}
}

// knowing is a probe that knows of what an init has not started.
type knowing struct {
	fakeProbe
	not map[[2]int]bool
}

func (k knowing) NotStartedBy(tid, owner int) bool { return k.not[[2]int{tid, owner}] }

// TestCleared: what the probe saw that an init has not started is not what it
// waits for, whatever else speaks for it.
func TestCleared(t *testing.T) {
	for _, cleared := range []bool{false, true} {
		for _, what := range []string{"thread", "work"} {
			s := newStory(t)
			if what == "thread" {
				s.init("m_init", 20*sec)
				s.asks(120, "m", 20*sec, 20*sec, 200)
			} else {
				s.init("__flush_work", 20*sec)
				s.works(120, "m", observetest.Request, 20*sec, 200)
			}
			probe := knowing{fakeProbe{asked: map[int]int{200: 120}}, map[[2]int]bool{{120, 100}: cleared}}
			if _, suspected := s.judge(200, probe); suspected == cleared {
				t.Errorf("%s, cleared %v: suspected %v", what, cleared, suspected)
			}
		}
	}
}
