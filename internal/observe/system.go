// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"time"

	"safeload/guard/graph"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// System writes a snapshot down as who waits for whom. before is an earlier
// look, which tells who has been waiting since.
func (s *Waits) System(how Reading, before *Waits) *graph.System {
	g := &graph.System{}
	helpers := s.Helpers()
	trusted := s.matchedRequesters(helpers, before)
	for _, t := range s.Tasks {
		id := graph.ID(t.TID)
		g.Add(id)
		switch {
		case s.lockWaits(g, t, how), s.guessedWaits(g, t, how):
		case t.Requester():
			s.requestWaits(g, t, helpers, how, trusted)
		case t.Duplicate():
			s.duplicateWaits(g, t, helpers)
		case t.Module != "" && t.Waiter && t.Asleep():
			g.Add(id, s.loadWait(t.Module, t.TID, "waits in the kernel for the load of "+t.Module))
			if how != Exact {
				s.parentWaits(g, t.PID)
			}
		case t.Module != "" && isAsync(t.Wchan):
			s.asyncWaits(g, t, how)
		case t.Module != "" && how != Exact:
			s.initWaits(g, t)
		case (t.Kind == proc.WaitChild || t.Kind == proc.WaitID) && t.Asleep():
			s.childWait(g, t, how)
		}
		if !t.Process() && how != Exact && (s.Entries[t.PID] != nil || t.Kind == proc.FinitModule || t.Kind == proc.InitModule) {
			// What a program with threads does when one of them waits is its
			// own affair; that it waits for a load is likely.
			g.Add(graph.ID(t.PID), graph.Wait{For: []graph.ID{id}, Certainty: graph.Likely, Why: "its thread waits"})
		}
	}
	for _, e := range s.Entries {
		s.entryWaits(g, e, how, before)
	}
	return g
}

// loadWait is the wait for the init of a coming module; for nobody, when it is
// not known who runs it.
func (s *Waits) loadWait(module string, not int, why string) graph.Wait {
	w := graph.Wait{Certainty: graph.Certain, Why: why}
	for _, o := range s.Owners(module) {
		if o.TID != not {
			w.For = append(w.For, graph.ID(o.TID))
		}
	}
	return w
}

// entryWaits adds what an invocation of ours says of itself.
func (s *Waits) entryWaits(g *graph.System, e *registry.Entry, how Reading, before *Waits) {
	id := graph.ID(e.PID)
	g.Add(id)
	switch e.State {
	case registry.StateWait:
		g.Add(id, s.loadWait(e.Module, 0, "waits for the load of "+e.Module))
		if how != Exact {
			s.parentWaits(g, e.PID)
		}
	case registry.StateLoad:
		for _, t := range s.Tasks {
			if t.PID == e.PID && t.TID != t.PID && t.Module != "" {
				g.Add(id, graph.Wait{For: []graph.ID{graph.ID(t.TID)}, Certainty: graph.Certain, Why: "loads " + e.Module})
			}
		}
	case registry.StateCommand:
		w := graph.Wait{Certainty: graph.Certain, Why: "waits for its command"}
		for _, kid := range s.Children[e.PID] {
			w.For = append(w.For, graph.ID(kid))
		}
		g.Add(id, w)
		if how != Exact {
			s.commandWaits(g, e, how, before)
		}
	}
}

// parentWaits: a program may wait for its child by other means than wait(2), a
// pipe or sigsuspend(2). One above a waiting load that sleeps, for no set
// time, is taken to.
func (s *Waits) parentWaits(g *graph.System, pid int) {
	for range 64 {
		t := s.Tasks[pid]
		if t == nil || t.PPID <= 1 {
			return
		}
		pid = t.PPID
		p := s.Tasks[pid]
		if p == nil || p.Kthread() || s.Entries[pid] != nil {
			return
		}
		if !s.isIdleProgram(p) || len(g.Waits(graph.ID(pid))) > 0 {
			continue
		}
		w := graph.Wait{Certainty: graph.Likely, Why: "may wait for its child"}
		for _, kid := range s.Children[pid] {
			w.For = append(w.For, graph.ID(kid))
		}
		g.Add(graph.ID(pid), w)
	}
}

// isIdleProgram tells whether a program does nothing, for no set time, and may be woken
// by whatever its child does. State D is a wait for a device or a file system.
// What the other threads of a program do is not understood.
func (s *Waits) isIdleProgram(t *Task) bool {
	return t.State == 'S' && t.Kind == proc.Other && t.Threads <= 1 && !s.sleepsForTime(t)
}

func (s *Waits) sleepsForTime(t *Task) bool {
	if t.Kind == proc.Sleep {
		return true
	}
	if t.Wchan == "" {
		n := s.Proc.GivenUp()
		if t.Wchan = s.Proc.Wchan(t.PID, t.TID); s.Proc.GivenUp() != n {
			return true // it may
		}
	}
	return IsTimed(t.Wchan)
}

// commandWaits: a command may wait for a process that has left it, by a pipe,
// a file or a signal. What lives in the command and does nothing is then taken
// to wait for the loads that carry its token. In the patient reading so is
// what asks again and again: a shell that sleeps a moment between two looks at
// a file. One long sleep is neither, it ends by itself.
func (s *Waits) commandWaits(g *graph.System, e *registry.Entry, how Reading, before *Waits) {
	w := graph.Wait{Certainty: graph.Likely, Why: "may wait for what it started"}
	for _, o := range s.Entries {
		if o.Parent == e.Token && o.PID != e.PID && (how == Patient || !s.Descends(o.PID, e.PID)) {
			w.For = append(w.For, graph.ID(o.PID))
		}
	}
	if len(w.For) == 0 {
		return
	}
	for pid, t := range s.Tasks {
		if pid != t.PID || pid == e.PID || s.Entries[pid] != nil || !s.Descends(pid, e.PID) {
			continue
		}
		if how == Patient {
			s.pollerWaits(g, t, w, before)
			continue
		}
		if len(s.Children[pid]) == 0 && s.isIdleProgram(t) {
			g.Add(graph.ID(pid), w)
		}
	}
}

// longSleep is for how long, in nanoseconds, a sleep must have been seen to be none of a poll's.
const longSleep = int64(time.Second)

// pollerWaits adds the wait of a task of a command that may be asking again and
// again, and keeps count of whether it was found doing nothing.
func (s *Waits) pollerWaits(g *graph.System, t *Task, w graph.Wait, before *Waits) {
	if t.Threads > 1 {
		return
	}
	leaf := len(s.Children[t.PID]) == 0
	if t.State != 'S' {
		s.PollerWorked = true
	}
	if leaf && t.Asleep() && s.sleepsForTime(t) {
		s.ReadStart(t) // of who is idle it was not read
		n, ok := s.Proc.Switches(t.PID, t.TID)
		t.switches, t.slept = n, s.Now
		if before == nil || !ok {
			return // long or short is not known yet
		}
		if b := before.Tasks[t.TID]; b != nil && b.Start == t.Start && b.switches == n {
			// A look that makes sure of another comes a moment after it, and finds the same short sleep.
			if t.slept = b.slept; s.Now-t.slept >= longSleep || !before.Pollers[t.TID] {
				return
			}
		}
	}
	s.Pollers[t.PID] = true
	switch {
	case leaf || !t.Asleep():
		g.Add(graph.ID(t.TID), w)
	case t.Kind == proc.Other:
		kids := graph.Wait{Certainty: graph.Likely, Why: "may wait for its child"}
		for _, kid := range s.Children[t.PID] {
			kids.For = append(kids.For, graph.ID(kid))
		}
		g.Add(graph.ID(t.TID), kids)
	}
}

// childWait: wait4(pid, …) and waitid(P_PID, pid, …) name the child; anything
// else is any child.
func (s *Waits) childWait(g *graph.System, t *Task, how Reading) {
	w := graph.Wait{Certainty: graph.Certain, Why: "waits for its child"}
	want := 0
	switch {
	case t.Kind == proc.WaitChild && int32(t.Call.Args[0]) > 0:
		want = int(int32(t.Call.Args[0]))
	case t.Kind == proc.WaitID && t.Call.Args[0] == 1:
		want = int(int32(t.Call.Args[1]))
	}
	for _, kid := range s.Children[t.PID] {
		if want == 0 || kid == want {
			w.For = append(w.For, graph.ID(kid))
		}
	}
	if p := s.Tasks[t.PID]; p != nil && p.Threads > 1 {
		if how == Exact || s.Entries[t.PID] == nil {
			return // its other threads may do anything
		}
		w.Certainty = graph.Likely
	}
	g.Add(graph.ID(t.TID), w)
}
