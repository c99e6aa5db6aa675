// SPDX-License-Identifier: Apache-2.0

// Package graph decides from who waits for whom whether anybody can still
// move. It is pure: tasks are numbers, and where the numbers and the waits
// come from is not its concern.
//
// A task may have several waits, and moves on when all of them are over. A
// wait names one or more tasks and is over when any one of them has ended:
// that is what wait(2) for any child means, and it is also how not knowing is
// written down. A task in request_module whose helper is one of three waits
// for any one of the three: if each of the three is stuck, it is stuck
// whichever is its own.
//
// A task with no wait is free: it may end by itself. Whatever is not known to
// wait is free, so that ignorance never makes a deadlock.
package graph

// ID is a task.
type ID int

// Certainty tells how well a wait is known.
type Certainty uint8

const (
	Likely  Certainty = iota + 1 // evidence, but another reading exists
	Certain                      // the kernel or the waiter itself says so
)

func (c Certainty) String() string {
	if c == Certain {
		return "certain"
	}
	return "likely"
}

// Wait is one thing that a task waits for: the end of any one of For.
type Wait struct {
	For       []ID
	Certainty Certainty
	Why       string
}

// System is tasks and their waits. The zero value is an empty system.
type System struct {
	waits map[ID][]Wait
}

// Add says that a task exists, and adds waits to it. A wait for nobody is
// ignored: nothing says that it will not be over by itself.
func (s *System) Add(id ID, waits ...Wait) {
	if s.waits == nil {
		s.waits = make(map[ID][]Wait)
	}
	all := s.waits[id]
	for _, w := range waits {
		if len(w.For) > 0 {
			all = append(all, w)
		}
	}
	s.waits[id] = all
}

// Waits returns what was added of a task.
func (s *System) Waits(id ID) []Wait { return s.waits[id] }

// Stuck is a set of tasks none of which can ever end by itself or by another.
type Stuck struct {
	system *System
	least  Certainty
	in     map[ID]bool
}

// Stuck finds, by elimination, the tasks that can never end when the waits of
// at least the given certainty are real: every task that can end is struck
// out, then every task whose waits these end, until nothing changes.
func (s *System) Stuck(least Certainty) *Stuck {
	// open counts a task's waits that are not over; users are the waits that
	// a task's end would end.
	type use struct {
		id   ID
		wait int
	}
	open := make(map[ID]int, len(s.waits))
	users := make(map[ID][]use)
	var free []ID
	for id, waits := range s.waits {
		for i, w := range waits {
			if w.Certainty < least {
				continue
			}
			open[id]++
			for _, t := range w.For {
				users[t] = append(users[t], use{id, i})
				if _, known := s.waits[t]; !known {
					free = append(free, t) // never added: may end
				}
			}
		}
		if open[id] == 0 {
			free = append(free, id)
		}
	}
	ended := make(map[ID]bool, len(s.waits))
	over := make(map[use]bool)
	for len(free) > 0 {
		id := free[len(free)-1]
		free = free[:len(free)-1]
		if ended[id] {
			continue
		}
		ended[id] = true
		for _, u := range users[id] {
			if over[u] {
				continue
			}
			over[u] = true
			if open[u.id]--; open[u.id] == 0 {
				free = append(free, u.id)
			}
		}
	}
	st := &Stuck{system: s, least: least, in: make(map[ID]bool)}
	for id := range s.waits {
		if !ended[id] {
			st.in[id] = true
		}
	}
	return st
}

// Has tells whether a task can never end.
func (st *Stuck) Has(id ID) bool { return st.in[id] }

// next calls yield for each stuck task that id waits for.
func (st *Stuck) next(id ID, yield func(ID, *Wait)) {
	waits := st.system.waits[id]
	for i := range waits {
		if waits[i].Certainty < st.least || !st.closed(&waits[i]) {
			continue
		}
		for _, t := range waits[i].For {
			yield(t, &waits[i])
		}
	}
}

// closed tells whether everybody a wait names is stuck: of a task's several
// waits some may be harmless.
func (st *Stuck) closed(w *Wait) bool {
	for _, t := range w.For {
		if !st.in[t] {
			return false
		}
	}
	return true
}

// Step is one hop of a chain: Task waits, for the next step's task.
type Step struct {
	Task ID
	Wait Wait
}

// Cycle returns the shortest way from a stuck task through what it waits for
// back to itself; none when it only waits for a deadlock of others. What is on
// no cycle need not fail for the others to move.
func (st *Stuck) Cycle(id ID) []Step {
	if !st.in[id] {
		return nil
	}
	type from struct {
		task ID
		wait *Wait
	}
	came := make(map[ID]from)
	queue := []ID{id}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		done := false
		st.next(at, func(t ID, w *Wait) {
			if _, seen := came[t]; seen || done {
				return
			}
			came[t] = from{at, w}
			if t == id {
				done = true
				return
			}
			queue = append(queue, t)
		})
		if !done {
			continue
		}
		var back []Step
		for t := id; ; {
			f := came[t]
			back = append(back, Step{f.task, *f.wait})
			if t = f.task; t == id {
				break
			}
		}
		for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
			back[i], back[j] = back[j], back[i]
		}
		return back
	}
	return nil
}

// Reach returns every stuck task that id's end hangs on, itself included.
func (st *Stuck) Reach(id ID) []ID {
	if !st.in[id] {
		return nil
	}
	seen := map[ID]bool{id: true}
	all := []ID{id}
	for i := 0; i < len(all); i++ {
		st.next(all[i], func(t ID, _ *Wait) {
			if !seen[t] {
				seen[t] = true
				all = append(all, t)
			}
		})
	}
	return all
}

// Knot returns the tasks that id waits for and that wait for id, directly or
// not, itself included: the failing of any of them may free the others. Empty
// when id is on no cycle.
func (st *Stuck) Knot(id ID) []ID {
	reach := st.Reach(id)
	// Backwards within the reach: who of these comes to id?
	users := make(map[ID][]ID)
	for _, a := range reach {
		st.next(a, func(t ID, _ *Wait) { users[t] = append(users[t], a) })
	}
	seen := make(map[ID]bool)
	var knot []ID
	queue := []ID{id}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, u := range users[at] {
			if !seen[u] {
				seen[u] = true
				knot = append(knot, u)
				queue = append(queue, u)
			}
		}
	}
	if !seen[id] {
		return nil
	}
	return knot
}
