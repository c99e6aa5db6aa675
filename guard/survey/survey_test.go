// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"slices"
	"testing"

	"safeload/guard/graph"
	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
)

// surveyed is a made-up machine to be surveyed.
type surveyed struct{ *observetest.Machine }

func newSurveyed(t testing.TB) *surveyed { return &surveyed{observetest.New(t)} }

// survey is what is said of a system that stands still.
func (s *surveyed) survey() *Survey {
	s.T.Helper()
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, ShowRepeats: true}
	sv := &Survey{}
	sv.watch(func() *observe.Waits { return eyes.Look(s.Entries, true) }, 0)
	return sv
}

// Where tasks sleep that wait for another's load, and that repeat a request.
const (
	loadWaitAt = "idempotent_init_module"
	repeatAt   = "kmod_dup_request_exists_wait"
)

// Two loads that ask at about the same time, and two helpers: which is whose
// makes one circle or two. That somebody is stuck holds in either case.
func TestPairs(t *testing.T) {
	for name, c := range map[string]struct {
		first, second string  // what the helper asked for by a, then by b, loads
		asked         float64 // by b, in milliseconds; by a at 1000
		wa, wb        float64 // when the workers had started them
		chains        []int   // lengths
	}{
		"crossing":                       {"b", "a", 1040, 1002, 1043, []int{4}},
		"each by itself":                 {"a", "b", 1040, 1002, 1043, []int{2, 2}},
		"crossing, the workers late":     {"b", "a", 1000.5, 1003.2, 1003.1, []int{4}},
		"each for itself, the same time": {"a", "b", 1000.5, 1003.2, 1003.1, []int{2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurveyed(t)
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddLoad(101, 50, 500, "b", observetest.Request)
			wa, wb := s.AddHelperWorker(200), s.AddHelperWorker(201)
			s.AddLoad(200, wa, 510, c.first, loadWaitAt)
			s.AddLoad(201, wb, 510, c.second, loadWaitAt)
			s.LastRan(1000, 100)
			s.LastRan(c.wa, wa)
			s.LastRan(c.asked, 101)
			s.LastRan(c.wb, wb)
			sv := s.survey()
			var got []int
			for _, f := range sv.Findings {
				if f.Certainty != graph.Certain {
					t.Errorf("%s is only %v", f.Module, f.Certainty)
				}
				got = append(got, len(f.Chain))
				for _, h := range f.Chain {
					if h.TID < 200 && h.Certainty != graph.Likely {
						t.Errorf("whose helper it is passes for %v", h.Certainty)
					}
				}
			}
			if !slices.Equal(got, c.chains) {
				t.Errorf("circles of %v, want %v: %+v", got, c.chains, sv.Findings)
			}
			for _, e := range sv.Edges {
				if e.From == 100 && !slices.Equal(e.To, []int{200, 201}) || e.From == 101 && !slices.Equal(e.To, []int{201, 200}) {
					t.Errorf("%d waits for %v: the likeliest is not first, or not all are there", e.From, e.To)
				}
			}
		})
	}
}

// Of many helpers that wait for one load, each may be the one that the load
// waits for. One is, and one circle is found, not as many as there are helpers.
func TestPileUp(t *testing.T) {
	s := newSurveyed(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	s.LastRan(1000, 100)
	w := s.AddHelperWorker(200)
	s.LastRan(1001, w)
	s.AddLoad(200, w, 505, "a", loadWaitAt)
	for i := 1; i <= 49; i++ {
		s.AddTask(300+i, 1, 'D', observetest.Plain, 500, observetest.Request, s.Call(proc.Other))
		w := s.AddHelperWorker(400 + i)
		s.LastRan(float64(1000+10*i), 300+i)
		s.LastRan(float64(1001+10*i), w)
		s.AddLoad(400+i, w, 505+i, "a", loadWaitAt)
	}
	for i := range 5 {
		s.AddTask(500+i, 1, 'D', observetest.Plain, 500, "__request_module", s.Call(proc.Other))
	}
	sv := s.survey()
	if len(sv.Findings) != 1 || sv.Findings[0].Waiter != 200 || sv.Findings[0].Certainty != graph.Certain {
		t.Errorf("found %d, the first %+v; want the one of 200", len(sv.Findings), sv.Findings[0])
	}
	roles := make(map[string]int)
	for _, v := range sv.Tasks {
		roles[v.Role]++
	}
	if roles[RoleThrottled] != 5 || roles[RoleRequest] != 49 {
		t.Errorf("roles %v, want 5 throttled and 49 that ask", roles)
	}
}

// A load that waits for a command: the command is named, and its token is shown
// once, although it is a thread of safeload that waits for the shell.
func TestCommandIsShown(t *testing.T) {
	s := newSurveyed(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	token := s.AddCommand(150, s.AddHelperWorker(150), 505)
	s.AddThread(150, 152, s.Call(proc.WaitID, 1, 151))
	s.AddTask(151, 150, 'S', observetest.Plain, 506, "do_wait", s.Call(proc.WaitChild, -1))
	s.AddTask(153, 151, 'S', observetest.Plain, 507, "pipe_read", s.Call(proc.Other))
	s.AddTask(154, 150, 'S', observetest.Plain, 507, "pipe_read", s.Call(proc.Other))
	s.AddTask(155, 50, 'S', observetest.Plain, 400, "do_wait", s.Call(proc.WaitChild, -1)) // a stranger
	s.AddWaiter(200, 1, 510, "a")
	s.Entries[1].Parent = token
	sv := s.survey()

	roles := make(map[int]string)
	tokens := 0
	for _, v := range sv.Tasks {
		roles[v.TID] = v.Role
		if v.Token == token {
			tokens++
		}
	}
	for tid, want := range map[int]string{150: RoleCommand, 151: RoleShell, 153: RoleShell, 154: RoleShell, 200: RoleWait} {
		if roles[tid] != want {
			t.Errorf("task %d is %q, want %q", tid, roles[tid], want)
		}
	}
	if _, shown := roles[155]; shown {
		t.Error("a stranger is shown")
	}
	if tokens != 1 {
		t.Errorf("the command's token is shown %d times, want once", tokens)
	}
	waits := 0
	for _, e := range sv.Edges {
		if e.From == 150 && slices.Contains(e.To, 151) {
			waits++
		}
		if e.From == 150 && slices.Contains(e.To, 152) && roles[152] == "" {
			t.Error("the load waits for a thread of its own that is not shown")
		}
	}
	if waits != 1 {
		t.Errorf("that the load waits for the shell is said %d times, want once", waits)
	}
}

// A kernel with MODULE_DEBUG_AUTOLOAD_DUPS starts no helper for a name that is
// being asked for: an init that asks for itself waits for its own helper, and
// nobody is there to be refused.
func TestDuplicates(t *testing.T) {
	for _, c := range []struct {
		name  string
		init  string // where the init of a, which the helper 200 loads, sleeps
		wchan string // where another task sleeps, which asks as well
		want  int    // pid that had best fail; 0: no finding
	}{
		{"an init repeats the request that it runs for", repeatAt, "", 200},
		{"another clone of the function", repeatAt + ".part.0", "", 200},
		{"a slow init, and one who repeats its request", "msleep", repeatAt, 0},
		{"others wait for the request, too", repeatAt, repeatAt, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSurveyed(t)
			s.SetComing("a")
			s.AddTask(100, 50, 'D', observetest.Plain, 500, observetest.Request, s.Call(0))
			s.AddLoad(200, s.AddHelperWorker(200), 510, "a", c.init)
			if c.wchan != "" {
				s.AddTask(300, 50, 'D', observetest.Plain, 520, c.wchan, s.Call(0))
			}
			s.LastRan(1000, 100, 200, observetest.HelperWorker(200), 300)
			sv := s.survey()
			if c.want == 0 {
				if len(sv.Findings) != 0 {
					t.Errorf("%+v, want none", sv.Findings)
				}
			} else if len(sv.Findings) != 1 || sv.Findings[0].Waiter != c.want || !sv.Findings[0].Signal || sv.Findings[0].Certainty != graph.Certain {
				t.Errorf("%+v, want pid %d", sv.Findings, c.want)
			}
			for _, v := range sv.Tasks {
				if v.TID == 300 && v.Role != RoleDuplicate {
					t.Errorf("300 is %q", v.Role)
				}
			}
		})
	}
}

// TestOthersArguments: who may not load is not asked for his arguments, not even
// a shell above a load, nor when he is idle.
func TestOthersArguments(t *testing.T) {
	s := newSurveyed(t)
	s.SetComing("a")
	none := "CapEff:\t0000000000000000\nvoluntary_ctxt_switches:\t5\n"
	s.AddTask(60, 1, 'S', observetest.Plain, 490, "do_wait", s.Call(proc.WaitChild))
	s.WriteTask(60, "status", none)
	s.AddTask(61, 60, 'S', observetest.Plain, 491, "do_wait", s.Call(proc.WaitChild))
	s.AddLoad(100, 61, 500, "a", "msleep")
	s.AddTask(310, 1, 'D', observetest.Plain, 510, observetest.Request, s.Call(proc.Other))
	s.WriteTask(310, "status", none)
	p, sys := s.Open()
	s.AddTask(320, 1, 'S', observetest.Plain, 510, "ep_poll", s.Call(proc.Other))
	s.WriteTask(320, "status", none)
	got := (&observe.Observer{Proc: p, Sys: sys}).Look(nil, true)
	for pid, want := range map[int]string{100: "modprobe a", 60: "", 310: "", 320: ""} {
		s.WriteTask(pid, "cmdline", "modprobe\x00a\x00")
		if c := seenOf(got, got.Tasks[pid]).Command; c != want {
			t.Errorf("task %d: arguments %q, want %q", pid, c, want)
		}
	}
}

// What diagnose reads of 500 processes, none of which loads, and of as many
// with one that hangs. The peer reads what any list of processes must: one file
// of each.
func BenchmarkSurvey(b *testing.B) {
	processes := func(b *testing.B) *surveyed {
		s := newSurveyed(b)
		for pid := 1000; pid < 1500; pid++ {
			s.AddTask(pid, 1, 'S', observetest.Plain, 400, "ep_poll", s.Call(proc.Other))
		}
		return s
	}
	b.Run("healthy", func(b *testing.B) {
		s := processes(b)
		for b.Loop() {
			if sv := s.survey(); len(sv.Findings) != 0 || sv.Looked < 500 {
				b.Fatalf("%d looked at, found %v", sv.Looked, sv.Findings)
			}
		}
	})
	b.Run("hanging", func(b *testing.B) {
		s := processes(b)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", observetest.Request)
		s.AddLoad(200, s.AddHelperWorker(200), 510, "a", loadWaitAt)
		for b.Loop() {
			if sv := s.survey(); len(sv.Findings) != 1 {
				b.Fatalf("found %v", sv.Findings)
			}
		}
	})
	b.Run("peer", func(b *testing.B) {
		s := processes(b)
		for b.Loop() {
			p, sys := s.Open()
			n := 0
			_ = p.PIDs(func(pid int) bool {
				if _, err := p.ProcessStat(pid); err == nil {
					n++
				}
				return true
			})
			p.Close()
			sys.Close()
			if n < 500 {
				b.Fatal(n)
			}
		}
	})
}

// TestInitstate is from the sysfs that the rest of the survey is from: before
// /init there may be none at /sys.
func TestInitstate(t *testing.T) {
	s := newSurveyed(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", "msleep")
	for _, v := range s.survey().Tasks {
		if v.TID == 100 && v.Initstate != "coming" {
			t.Errorf("the module of %d is %q, want coming", v.TID, v.Initstate)
		}
	}
}
