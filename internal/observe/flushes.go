// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"slices"

	"safeload/guard/graph"
)

// flushedWorkers are the workers of which one is at the work that o, or what o waits
// for, flushes: it cannot end before that. Those that run the module's code or
// its queue are at it. Else it may be any worker that is at work; what an init
// has long been flushing is in the hands of one that was busy each time.
func (s *Waits) flushedWorkers(g *graph.System, p, o *Task) []*Task {
	// An item alone is flushed by who has it, and nobody has those of the
	// kernel's helpers (kernel/umh.c).
	item := isItemFlush(p.Wchan)
	var own, all []*Task
	others := false
	for _, w := range s.busyWorkers {
		runs := len(s.Children[w.PID]) > 0
		switch {
		case runs && item:
			continue
		case w.Requester() && s.independent(w, o):
			continue
		case s.bearsName(w, o.Module):
			own = append(own, w)
		}
		if s.bold && !w.Requester() {
			continue
		}
		all = append(all, w)
		others = others || !runs && !w.Requester()
		if runs && len(g.Waits(graph.ID(w.TID))) == 0 {
			kids := graph.Wait{Certainty: graph.Certain, Why: "runs a helper of the kernel"}
			for _, kid := range s.Children[w.PID] {
				kids.For = append(kids.For, graph.ID(kid))
			}
			g.Add(graph.ID(w.TID), kids)
		}
	}
	if len(own) > 0 || !s.bold && base(p.Wchan) == "wait_for_device_probe" {
		return own // any process may be the one that probes a device
	}
	all = s.memory.alone(s, p, all, others)
	return slices.DeleteFunc(all, func(w *Task) bool { return w.Requester() && s.queuedByAnother(w, p) })
}

// alone narrows the workers that may be at the work that o flushes. In a look
// that finds only such that ask at work, it is one of these, and stays so until
// one of them moves: then what others are busy with, for the moment of a look
// or for longer, is not it. As a look takes its time, two must have found it.
func (m *memory) alone(s *Waits, o *Task, busy []*Task, others bool) []*Task {
	n, ok := s.Proc.Switches(o.PID, o.TID)
	if !ok {
		return busy
	}
	f, had := m.flushes[o.TID]
	if had && (f.start != o.Start || f.switches != n || !f.holds(s)) {
		delete(m.flushes, o.TID)
		had = false
	}
	if !others && len(busy) > 0 {
		if !had {
			f = flush{start: o.Start, switches: n, workers: make(map[int]uint64)}
			for _, w := range busy {
				if f.workers[w.TID], ok = s.Proc.Switches(w.PID, w.TID); !ok {
					return busy
				}
			}
		}
		if had = true; !f.counted {
			f.looks++
			f.counted = true
		}
		m.flushes[o.TID] = f
	}
	if !had || others && f.looks < 2 {
		return busy
	}
	return slices.DeleteFunc(busy, func(w *Task) bool { _, was := f.workers[w.TID]; return !was })
}

// holds tells whether none of the workers has moved.
func (f *flush) holds(s *Waits) bool {
	for tid, n := range f.workers {
		if s.busyWorkers[tid] == nil {
			return false
		}
		if now, ok := s.Proc.Switches(tid, tid); !ok || now != n {
			return false
		}
	}
	return true
}

// queuedByAnother tells whether it is another load whose init has likelier queued
// the work that a worker is at: the worker asked when that one went to sleep,
// and this one had long been asleep.
func (s *Waits) queuedByAnother(worker, o *Task) bool {
	asked, ok := s.fellAsleep(worker)
	if fell, known := s.fellAsleep(o); !ok || !known || fell >= asked-near {
		return false
	}
	for _, t := range s.Tasks {
		if t.Module != "" && t.Module != o.Module && !t.Waiter && s.Coming[t.Module] && t.Asleep() && isFlush(t.Wchan) {
			if fell, known := s.fellAsleep(t); known && fell-asked > -near && fell-asked < near {
				return true
			}
		}
	}
	return false
}
