// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"
	"testing"

	"safeload/guard/graph"
	"safeload/guard/observe"
	"safeload/guard/observe/observetest"
	"safeload/internal/proc"
)

// survey is what is said of a system that stands still.
func (s *system) survey() *Survey {
	s.T.Helper()
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, ShowRepeats: true}
	sv := &Survey{}
	sv.watch(func() *observe.Waits { return eyes.Look(s.Entries, true) }, 0)
	return sv
}

const fileWait = "idempotent_init_module"

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
			s := newSystem(t)
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", observetest.Request)
			s.AddLoad(101, 50, 500, "b", observetest.Request)
			wa, wb := s.AddHelperWorker(200), s.AddHelperWorker(201)
			s.AddLoad(200, wa, 510, c.first, fileWait)
			s.AddLoad(201, wb, 510, c.second, fileWait)
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
	s := newSystem(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	s.LastRan(1000, 100)
	w := s.AddHelperWorker(200)
	s.LastRan(1001, w)
	s.AddLoad(200, w, 505, "a", fileWait)
	for i := 1; i <= 49; i++ {
		s.AddTask(300+i, 1, 'D', observetest.Plain, 500, observetest.Request, s.Call(proc.Other))
		w := s.AddHelperWorker(400 + i)
		s.LastRan(float64(1000+10*i), 300+i)
		s.LastRan(float64(1001+10*i), w)
		s.AddLoad(400+i, w, 505+i, "a", fileWait)
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

// A shell of an install command in its builtin wait shows no wait(2).
func TestShellAboveAWaiter(t *testing.T) {
	for wchan, want := range map[string]verdict{"sigsuspend": {suspected: true}, "hrtimer_nanosleep": {}} {
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

// stuck tells whether a task is in a circle, surely or likely.
func (s *system) stuck(tid int) (proven, likely bool) {
	before, now := s.shoots(func() {})
	in := func(how observe.Reading, least graph.Certainty) bool {
		return len(now.System(how, before).Stuck(least).Knot(graph.ID(tid))) > 0
	}
	return in(observe.Exact, graph.Certain), in(observe.Best, graph.Likely)
}

// A load that waits for a command: the command is named, and its token is shown
// once, although it is a thread of safeload that waits for the shell.
func TestCommandIsShown(t *testing.T) {
	s := newSystem(t)
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
