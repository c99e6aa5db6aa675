// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"safeload/guard/graph"
	"safeload/internal/proc"
)

// reading is how a snapshot is turned into waits.
type reading uint8

const (
	exact reading = iota // only what cannot be otherwise
	best                 // and what the evidence speaks for
)

// tick is the unit of start times in /proc, USER_HZ, in nanoseconds.
const tick = 10_000_000

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
		case t.module != "" && t.waiter && t.Asleep():
			g.Add(id, s.loadWait(t.module, t.TID, "waits in the kernel for the load of "+t.module))
		case t.module != "" && how == best:
			s.inits(g, t)
		case (t.kind == proc.WaitChild || t.kind == proc.WaitID) && t.Asleep():
			s.childWait(g, t, how)
		}
		if !t.process() && how == best {
			// What a program with threads does when one of them waits is its
			// own affair: that it waits for that thread is likely.
			g.Add(graph.ID(t.pid), graph.Wait{For: []graph.ID{id}, Certainty: graph.Likely, Why: "its thread waits"})
		}
	}
	for _, e := range s.entries {
		s.entryWaits(g, e, how)
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
func (s *snapshot) entryWaits(g *graph.System, e *entry, how reading) {
	id := graph.ID(e.pid)
	g.Add(id)
	switch e.state {
	case stateWait:
		g.Add(id, s.loadWait(e.module, 0, "waits for the load of "+e.module))
	case stateLoad:
		for _, t := range s.tasks {
			if t.pid == e.pid && t.TID != t.pid && t.module != "" {
				g.Add(id, graph.Wait{For: []graph.ID{graph.ID(t.TID)}, Certainty: graph.Certain, Why: "loads " + e.module})
			}
		}
	case stateCommand:
		w := graph.Wait{Certainty: graph.Certain, Why: "waits for its command"}
		for _, kid := range s.kids[e.pid] {
			w.For = append(w.For, graph.ID(kid))
		}
		g.Add(id, w)
		if how == best {
			s.orphans(g, e)
		}
	}
}

// orphans: a command may wait for a process that has left it, by a pipe, a
// file or a signal. What lives in the command and does nothing is then taken
// to wait for the loads that carry its token.
func (s *snapshot) orphans(g *graph.System, e *entry) {
	w := graph.Wait{Certainty: graph.Likely, Why: "may wait for what it started"}
	for _, o := range s.entries {
		if o.parent == e.token && o.pid != e.pid && !s.descends(o.pid, e.pid) {
			w.For = append(w.For, graph.ID(o.pid))
		}
	}
	if len(w.For) == 0 {
		return
	}
	for pid, t := range s.tasks {
		if pid == t.pid && pid != e.pid && t.Asleep() && len(s.kids[pid]) == 0 &&
			t.kind == proc.Other && s.entries[pid] == nil && s.descends(pid, e.pid) {
			if t.wchan == "" {
				t.wchan = s.proc.Wchan(t.pid, t.pid)
			}
			if !isTimed(t.wchan) {
				g.Add(graph.ID(pid), w)
			}
		}
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
		w.Certainty = graph.Likely
		if !t.process() && how == exact {
			return
		}
	}
	g.Add(graph.ID(t.TID), w)
}

// inits: a module's init that sleeps, and neither asks nor loads, waits for
// something that nobody can name. That it is a kernel thread it has started,
// or a work item it flushes, is likely when such a one waits for a helper.
func (s *snapshot) inits(g *graph.System, o *task) {
	if !o.Asleep() || !s.coming[o.module] || isTimed(o.wchan) {
		return
	}
	w := graph.Wait{Certainty: graph.Likely, Why: "its init waits for what it has a kernel thread do"}
	var known []graph.ID // by the probe
	flush := isFlush(o.wchan)
	for _, t := range s.tasks {
		if !t.Kthread() || !t.requester() {
			continue
		}
		if owner, ok := s.acts[t.TID]; ok {
			if owner == o.TID {
				known = append(known, graph.ID(t.TID))
			}
			continue
		}
		if t.Worker() && flush || !t.Worker() && t.Start >= o.pstart {
			w.For = append(w.For, graph.ID(t.TID))
		}
	}
	if len(known) > 0 {
		w.For = known
		s.sure[o.TID] = true
	}
	g.Add(graph.ID(o.TID), w)
}
