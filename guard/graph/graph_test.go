// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"math/rand/v2"
	"testing"
)

func certain(ids ...ID) Wait { return Wait{For: ids, Certainty: Certain} }
func likely(ids ...ID) Wait  { return Wait{For: ids, Certainty: Likely} }

func TestStuck(t *testing.T) {
	type task struct {
		id    ID
		waits []Wait
	}
	w := func(ws ...Wait) []Wait { return ws }
	for name, tt := range map[string]struct {
		tasks  []task
		least  Certainty
		stuck  []ID
		cycles []ID // of these the ones on a cycle
	}{
		"nobody":          {nil, Certain, nil, nil},
		"self":            {[]task{{1, w(certain(1))}}, Certain, []ID{1}, []ID{1}},
		"owner and child": {[]task{{1, w(certain(2))}, {2, w(certain(1))}}, Certain, []ID{1, 2}, []ID{1, 2}},
		"slow owner":      {[]task{{1, nil}, {2, w(certain(1))}}, Certain, nil, nil},
		"unknown owner":   {[]task{{2, w(certain(1))}}, Certain, nil, nil},
		"one of two helpers moves": {
			[]task{{1, w(certain(2, 3))}, {2, w(certain(1))}, {3, nil}}, Certain, nil, nil},
		"both helpers stuck": {
			[]task{{1, w(certain(2, 3))}, {2, w(certain(1))}, {3, w(certain(1))}}, Certain, []ID{1, 2, 3}, []ID{1, 2, 3}},
		"bystander": {
			[]task{{1, w(certain(2))}, {2, w(certain(1))}, {3, w(certain(1))}}, Certain, []ID{1, 2, 3}, []ID{1, 2}},
		"crossing": {
			[]task{{1, w(certain(3, 4))}, {2, w(certain(3, 4))}, {3, w(certain(2))}, {4, w(certain(1))}},
			Certain, []ID{1, 2, 3, 4}, []ID{1, 2, 3, 4}},
		"likely does not prove":    {[]task{{1, w(likely(2))}, {2, w(certain(1))}}, Certain, nil, nil},
		"likely is likely":         {[]task{{1, w(likely(2))}, {2, w(certain(1))}}, Likely, []ID{1, 2}, []ID{1, 2}},
		"all of its waits":         {[]task{{1, w(certain(2), certain(3))}, {2, nil}, {3, w(certain(1))}}, Certain, []ID{1, 3}, []ID{1, 3}},
		"a narrowed set":           {[]task{{1, w(certain(2, 3), likely(2))}, {2, w(certain(1))}, {3, nil}}, Likely, []ID{1, 2}, []ID{1, 2}},
		"waiting for nobody known": {[]task{{1, w(certain())}}, Certain, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var s System
			for _, k := range tt.tasks {
				s.Add(k.id, k.waits...)
			}
			st := s.Stuck(tt.least)
			want := map[ID]bool{}
			for _, id := range tt.stuck {
				want[id] = true
				if !st.Has(id) {
					t.Errorf("task %d is not stuck, and should be", id)
				}
			}
			onCycle := map[ID]bool{}
			for _, id := range tt.cycles {
				onCycle[id] = true
			}
			for _, k := range tt.tasks {
				if st.Has(k.id) && !want[k.id] {
					t.Errorf("task %d is stuck, and should not be", k.id)
				}
				if got := len(st.Cycle(k.id)) > 0; got != onCycle[k.id] {
					t.Errorf("task %d on a cycle: %v, want %v", k.id, got, onCycle[k.id])
				}
				if got := len(st.Knot(k.id)) > 0; got != onCycle[k.id] {
					t.Errorf("task %d in a knot: %v, want %v", k.id, got, onCycle[k.id])
				}
			}
		})
	}
}

// random makes a system of n tasks; some are free, some wait for any of a few,
// some for several things.
func random(r *rand.Rand, n int) *System {
	var s System
	for id := range n {
		var waits []Wait
		for range r.IntN(3) {
			w := Wait{Certainty: Certain}
			if r.IntN(4) == 0 {
				w.Certainty = Likely
			}
			for range 1 + r.IntN(3) {
				w.For = append(w.For, ID(r.IntN(n+n/8))) // some were never added
			}
			waits = append(waits, w)
		}
		s.Add(ID(id), waits...)
	}
	return &s
}

// run lets the system go, in random order, until it stands still: the meaning
// that Stuck has to agree with, done the slow and obvious way. It returns who
// has not ended.
func run(r *rand.Rand, s *System, n int, least Certainty, cut ID) map[ID]bool {
	ended := map[ID]bool{}
	for id := n; id < n+n/8+1; id++ {
		ended[ID(id)] = true
	}
	if cut >= 0 {
		ended[cut] = true
	}
	for moved := true; moved; {
		moved = false
		for _, i := range r.Perm(n) {
			id := ID(i)
			if ended[id] {
				continue
			}
			may := true
			for _, w := range s.Waits(id) {
				if w.Certainty < least {
					continue
				}
				over := false
				for _, t := range w.For {
					over = over || ended[t]
				}
				may = may && over
			}
			if may {
				ended[id] = true
				moved = true
			}
		}
	}
	still := map[ID]bool{}
	for id := range n {
		if !ended[ID(id)] {
			still[ID(id)] = true
		}
	}
	return still
}

// TestAgainstSimulation: proven deadlock if and only if the system, run to a
// standstill, stands still with the task in it.
func TestAgainstSimulation(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	deadlocks := 0
	for round := range 20000 {
		n := 1 + r.IntN(14)
		s := random(r, n)
		for _, least := range []Certainty{Likely, Certain} {
			st, still := s.Stuck(least), run(r, s, n, least, -1)
			if len(still) > 0 {
				deadlocks++
			}
			for id := range n {
				if st.Has(ID(id)) != still[ID(id)] {
					t.Fatalf("seed %d round %d: task %d stuck %v, simulation %v: %+v", seed, round, id, st.Has(ID(id)), still[ID(id)], s.waits)
				}
			}
			checkCycles(t, r, s, st, still, n, least)
		}
	}
	if deadlocks < 1000 {
		t.Errorf("only %d of 40000 systems had a deadlock: the test proves little", deadlocks)
	}
}

// checkCycles: a chain is one of real waits, and a task on no cycle frees
// nobody that it waits for when it ends, which is why it must not be the one
// that is refused.
func checkCycles(t *testing.T, r *rand.Rand, s *System, st *Stuck, still map[ID]bool, n int, least Certainty) {
	t.Helper()
	for i := range n {
		id := ID(i)
		cycle := st.Cycle(id)
		for k, step := range cycle {
			next := cycle[(k+1)%len(cycle)].Task
			found := false
			for _, f := range step.Wait.For {
				found = found || f == next
			}
			if !found || step.Wait.Certainty < least || !still[step.Task] {
				t.Fatalf("step %d of %v of task %d is no wait", k, cycle, id)
			}
		}
		if len(cycle) == 0 && still[id] {
			after := run(r, s, n, least, id)
			for _, need := range st.Reach(id) {
				if need != id && !after[need] {
					t.Fatalf("task %d is on no cycle, yet its end frees %d, for which it waits", id, need)
				}
			}
		}
	}
}
