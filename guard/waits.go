// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"safeload/guard/graph"
	"safeload/guard/registry"
	"safeload/internal/proc"
)

// reading is how a snapshot is turned into waits.
type reading uint8

const (
	exact   reading = iota // only what cannot be otherwise
	best                   // and what the evidence speaks for
	paired                 // and each requester has the one helper that fits best: to show, not to judge by
	patient                // and that a command which polls waits for what it started
)

// system writes a snapshot down as who waits for whom. before is an earlier
// look, which tells who has been waiting since.
func (s *snapshot) system(how reading, before *snapshot) *graph.System {
	g := &graph.System{}
	helpers := s.helpers()
	trusted := s.matched(helpers, before)
	for _, t := range s.tasks {
		id := graph.ID(t.TID)
		g.Add(id)
		switch {
		case t.requester():
			s.requestWaits(g, t, helpers, how, trusted)
		case t.duplicate():
			s.duplicateWaits(g, t, helpers)
		case t.module != "" && t.waiter && t.Asleep():
			g.Add(id, s.loadWait(t.module, t.TID, "waits in the kernel for the load of "+t.module))
			if how != exact {
				s.parentWaits(g, t.pid)
			}
		case t.module != "" && how != exact:
			s.inits(g, t)
		case (t.kind == proc.WaitChild || t.kind == proc.WaitID) && t.Asleep():
			s.childWait(g, t, how)
		}
		if !t.process() && how != exact && (s.entries[t.pid] != nil || t.kind == proc.FinitModule || t.kind == proc.InitModule) {
			// What a program with threads does when one of them waits is its
			// own affair; that it waits for a load is likely.
			g.Add(graph.ID(t.pid), graph.Wait{For: []graph.ID{id}, Certainty: graph.Likely, Why: "its thread waits"})
		}
	}
	for _, e := range s.entries {
		s.entryWaits(g, e, how, before)
	}
	return g
}

// loadWait is the wait for the init of a coming module; for nobody, when it is
// not known who runs it.
func (s *snapshot) loadWait(module string, not int, why string) graph.Wait {
	w := graph.Wait{Certainty: graph.Certain, Why: why}
	for _, o := range s.owners(module) {
		if o.TID != not {
			w.For = append(w.For, graph.ID(o.TID))
		}
	}
	return w
}

// entryWaits adds what an invocation of ours says of itself.
func (s *snapshot) entryWaits(g *graph.System, e *registry.Entry, how reading, before *snapshot) {
	id := graph.ID(e.PID)
	g.Add(id)
	switch e.State {
	case registry.StateWait:
		g.Add(id, s.loadWait(e.Module, 0, "waits for the load of "+e.Module))
		if how != exact {
			s.parentWaits(g, e.PID)
		}
	case registry.StateLoad:
		for _, t := range s.tasks {
			if t.pid == e.PID && t.TID != t.pid && t.module != "" {
				g.Add(id, graph.Wait{For: []graph.ID{graph.ID(t.TID)}, Certainty: graph.Certain, Why: "loads " + e.Module})
			}
		}
	case registry.StateCommand:
		w := graph.Wait{Certainty: graph.Certain, Why: "waits for its command"}
		for _, kid := range s.kids[e.PID] {
			w.For = append(w.For, graph.ID(kid))
		}
		g.Add(id, w)
		if how != exact {
			s.commandWaits(g, e, how, before)
		}
	}
}

// parentWaits: a program may wait for its child by other means than wait(2), a
// pipe or sigsuspend(2). One above a waiting load that sleeps, for no set
// time, is taken to.
func (s *snapshot) parentWaits(g *graph.System, pid int) {
	for range 64 {
		t := s.tasks[pid]
		if t == nil || t.PPID <= 1 {
			return
		}
		pid = t.PPID
		p := s.tasks[pid]
		if p == nil || p.Kthread() || s.entries[pid] != nil {
			return
		}
		if !s.idle(p) || len(g.Waits(graph.ID(pid))) > 0 {
			continue
		}
		w := graph.Wait{Certainty: graph.Likely, Why: "may wait for its child"}
		for _, kid := range s.kids[pid] {
			w.For = append(w.For, graph.ID(kid))
		}
		g.Add(graph.ID(pid), w)
	}
}

// idle tells whether a program does nothing, for no set time, and may be woken
// by whatever its child does. State D is a wait for a device or a file system.
// What the other threads of a program do is not understood.
func (s *snapshot) idle(t *task) bool {
	return t.State == 'S' && t.kind == proc.Other && t.Threads <= 1 && !s.sleepsForTime(t)
}

func (s *snapshot) sleepsForTime(t *task) bool {
	if t.kind == proc.Sleep {
		return true
	}
	if t.wchan == "" {
		n := s.proc.GivenUp()
		if t.wchan = s.proc.Wchan(t.pid, t.TID); s.proc.GivenUp() != n {
			return true // it may
		}
	}
	return isTimed(t.wchan)
}

// commandWaits: a command may wait for a process that has left it, by a pipe,
// a file or a signal. What lives in the command and does nothing is then taken
// to wait for the loads that carry its token. In the patient reading so is
// what asks again and again: a shell that sleeps a moment between two looks at
// a file. One long sleep is neither, it ends by itself.
func (s *snapshot) commandWaits(g *graph.System, e *registry.Entry, how reading, before *snapshot) {
	w := graph.Wait{Certainty: graph.Likely, Why: "may wait for what it started"}
	for _, o := range s.entries {
		if o.Parent == e.Token && o.PID != e.PID && (how == patient || !s.descends(o.PID, e.PID)) {
			w.For = append(w.For, graph.ID(o.PID))
		}
	}
	if len(w.For) == 0 {
		return
	}
	for pid, t := range s.tasks {
		if pid != t.pid || pid == e.PID || s.entries[pid] != nil || !s.descends(pid, e.PID) {
			continue
		}
		if how == patient {
			s.polling(g, t, w, before)
			continue
		}
		if len(s.kids[pid]) == 0 && s.idle(t) {
			g.Add(graph.ID(pid), w)
		}
	}
}

// polling adds the wait of a task of a command that may be asking again and
// again, and keeps count of whether it was found doing nothing.
func (s *snapshot) polling(g *graph.System, t *task, w graph.Wait, before *snapshot) {
	if t.Threads > 1 {
		return
	}
	leaf := len(s.kids[t.pid]) == 0
	if t.State != 'S' {
		s.worked = true
	}
	if leaf && t.Asleep() && s.sleepsForTime(t) {
		n, ok := s.proc.Switches(t.pid, t.TID)
		t.switches = n
		if before == nil || !ok {
			return // long or short is not known yet
		}
		if b := before.tasks[t.TID]; b != nil && b.Start == t.Start && b.switches == n {
			return // one long sleep
		}
	}
	s.polls[t.pid] = true
	switch {
	case leaf || !t.Asleep():
		g.Add(graph.ID(t.TID), w)
	case t.kind == proc.Other:
		kids := graph.Wait{Certainty: graph.Likely, Why: "may wait for its child"}
		for _, kid := range s.kids[t.pid] {
			kids.For = append(kids.For, graph.ID(kid))
		}
		g.Add(graph.ID(t.TID), kids)
	}
}

// childWait: wait4(pid, …) and waitid(P_PID, pid, …) name the child; anything
// else is any child.
func (s *snapshot) childWait(g *graph.System, t *task, how reading) {
	w := graph.Wait{Certainty: graph.Certain, Why: "waits for its child"}
	want := 0
	switch {
	case t.kind == proc.WaitChild && int32(t.call.Args[0]) > 0:
		want = int(int32(t.call.Args[0]))
	case t.kind == proc.WaitID && t.call.Args[0] == 1:
		want = int(int32(t.call.Args[1]))
	}
	for _, kid := range s.kids[t.pid] {
		if want == 0 || kid == want {
			w.For = append(w.For, graph.ID(kid))
		}
	}
	if p := s.tasks[t.pid]; p != nil && p.Threads > 1 {
		if how == exact || s.entries[t.pid] == nil {
			return // its other threads may do anything
		}
		w.Certainty = graph.Likely
	}
	g.Add(graph.ID(t.TID), w)
}
