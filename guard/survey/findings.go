// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"slices"
	"sort"

	"safeload/guard/graph"
	"safeload/internal/conf"
	"safeload/internal/observe"
	"safeload/internal/registry"
)

// sight is who is stuck in one look, each with its picture: what would
// change if it moved.
type sight struct {
	stuck *graph.Stuck
	look  map[graph.ID]string
}

func sightOf(s *observe.Waits, st *graph.Stuck) *sight {
	all := &sight{st, make(map[graph.ID]string)}
	for tid := range s.Tasks {
		if id := graph.ID(tid); st.Has(id) {
			all.look[id] = s.Picture([]graph.ID{id})
		}
	}
	return all
}

// same tells whether what a task hangs on is what it hung on before, and none of
// it has moved since.
func (a *sight) same(before *sight, id graph.ID) bool {
	now, then := a.stuck.Reach(id), before.stuck.Reach(id)
	if len(now) == 0 || len(now) != len(then) {
		return false
	}
	for _, t := range now {
		if !slices.Contains(then, t) || a.look[t] == "" || a.look[t] != before.look[t] {
			return false
		}
	}
	return true
}

// find finds the circles of which nothing has moved between two looks.
func (sv *Survey) find(s *observe.Waits, was *sight, sure, maybe, paired *graph.System) {
	proof, guess := sure.Stuck(graph.Certain), maybe.Stuck(graph.Likely)
	shown := paired.Stuck(graph.Likely)
	is := sightOf(s, guess)

	covered := make(map[graph.ID]bool)
	try := func(e graph.ID, st *graph.Stuck, certainty graph.Certainty, cycle []graph.Step) {
		if covered[e] || len(cycle) == 0 || len(st.Knot(e)) == 0 || !is.same(was, e) {
			return
		}
		if certainty == graph.Likely && !asleepForLong(s, cycle) {
			return
		}
		f := graph.Finding{Certainty: certainty}
		for _, step := range cycle {
			covered[step.Task] = true
		}
		f.Chain = s.Chain(cycle)
		chooseWaiter(s, &f)
		if f.Waiter == 0 {
			chooseAsker(s, &f, cycle)
		}
		sv.Findings = append(sv.Findings, f)
	}
	waits := append(loadWaiters(s), otherStarts(s, guess)...)
	for _, id := range waits {
		try(id, proof, graph.Certain, shown.Cycle(id))
	}
	for _, id := range waits {
		try(id, guess, graph.Likely, shown.Cycle(id))
	}
	// A task may be on a circle only if requests and helpers are paired otherwise
	// than they fit best. If its circle shares a task with one that was found
	// above, it only hangs on that one: of fifty helpers that wait for one load,
	// one is the load's own.
	for _, how := range []struct {
		*graph.Stuck
		certainty graph.Certainty
	}{{proof, graph.Certain}, {guess, graph.Likely}} {
		for _, id := range waits {
			cycle := guess.Cycle(id)
			if cycle == nil {
				cycle = how.Cycle(id)
			}
			if !slices.ContainsFunc(cycle, func(step graph.Step) bool { return covered[step.Task] }) {
				try(id, how.Stuck, how.certainty, cycle)
			}
		}
	}
}

// loadWaiters are the tasks that wait for another's load, in the kernel or, ours,
// in user space; or for another's request.
func loadWaiters(s *observe.Waits) []graph.ID {
	var ids []int
	for tid, t := range s.Tasks {
		if t.Module != "" && t.Waiter && t.Asleep() || t.Duplicate() {
			ids = append(ids, tid)
		}
	}
	for pid, e := range s.Entries {
		if e.State == registry.StateWait {
			ids = append(ids, pid)
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(ids))) // the latest first: it closed the circle
	out := make([]graph.ID, len(ids))
	for i, id := range ids {
		out[i] = graph.ID(id)
	}
	return out
}

// chooseWaiter picks who of a circle had best fail: a wait for a load, of a helper
// rather than of what somebody started by hand, and the latest of these.
func chooseWaiter(s *observe.Waits, f *graph.Finding) {
	bestScore := -1
	for _, h := range f.Chain {
		t := s.Tasks[h.TID]
		e := s.Entries[h.TID]
		if t == nil || !(t.Module != "" && t.Waiter) && (e == nil || e.State != registry.StateWait) && (!t.Duplicate() || t.Kthread()) {
			continue
		}
		score := 1
		if s.Workers[t.PPID] {
			score = 2
		}
		if t.Duplicate() {
			score = 0 // its own init runs
		}
		if score < bestScore || score == bestScore && t.PID < f.Waiter {
			continue
		}
		bestScore = score
		f.Waiter, f.Module = t.PID, h.Module
		f.Signal = t.State != 'D' || e != nil || t.Duplicate() // that one is killable
		f.Ours = e != nil && e.State == registry.StateWait
	}
}

func asleepForLong(s *observe.Waits, cycle []graph.Step) bool {
	var sleepers []*observe.Task
	for _, step := range cycle {
		t := s.Tasks[int(step.Task)]
		if t == nil {
			return false
		}
		if e := s.Entries[t.PID]; e != nil && !s.InCall(e, t) {
			continue // polls
		}
		sleepers = append(sleepers, t)
	}
	return len(sleepers) == 0 || s.LongAsleep(asleepLong, sleepers...)
}

// asleepLong is how long those of a circle that is only likely must have
// slept. It is the guard's patience: before, slow and stuck look the same.
const asleepLong = conf.DefaultPatience
