// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"
	"strings"

	"safeload/guard/graph"
)

// flushed are the workers of which one is at the work that o, or what o waits
// for, flushes: it cannot end before that. Those that run the module's code or
// its queue are at it. Else it may be any worker that is at work; what an init
// has long been flushing is in the hands of one that was busy each time.
func (s *snapshot) flushed(g *graph.System, p, o *task) []*task {
	// An item alone is flushed by who has it, and nobody has those of the
	// kernel's helpers (kernel/umh.c).
	item := isItemFlush(p.wchan)
	var own, all []*task
	others := false
	for _, w := range s.busy {
		runs := len(s.kids[w.pid]) > 0
		switch {
		case runs && item:
			continue
		case w.requester() && s.independent(w, o):
			continue
		case s.bears(w, o.module):
			own = append(own, w)
		}
		if s.bold && !w.requester() {
			continue
		}
		all = append(all, w)
		others = others || !runs && !w.requester()
		if runs && len(g.Waits(graph.ID(w.TID))) == 0 {
			kids := graph.Wait{Certainty: graph.Certain, Why: "runs a helper of the kernel"}
			for _, kid := range s.kids[w.pid] {
				kids.For = append(kids.For, graph.ID(kid))
			}
			g.Add(graph.ID(w.TID), kids)
		}
	}
	if len(own) > 0 || !s.bold && base(p.wchan) == "wait_for_device_probe" {
		return own // any process may be the one that probes a device
	}
	all = s.memory.alone(s, p, all, others)
	return slices.DeleteFunc(all, func(w *task) bool { return w.requester() && s.anotherFlush(w, p) })
}

// memory is what looks of one observer leave for the next.
type memory struct {
	rivals  map[[3]uint64]bool // of a kernel thread: had somebody else slept since it began
	flushes map[int]*flush     // by the thread that flushes
}

// flush is an init's wait for work: at some looks no other workers were busy
// than these, which asked. Since none of them has moved.
type flush struct {
	start, switches uint64
	workers         map[int]uint64 // switches, by thread id
	looks           int
	last            *snapshot
}

// alone narrows the workers that may be at the work that o flushes. In a look
// that finds only such that ask at work, it is one of these, and stays so until
// one of them moves: then what others are busy with, for the moment of a look
// or for longer, is not it. As a look takes its time, two must have found it.
func (m *memory) alone(s *snapshot, o *task, busy []*task, others bool) []*task {
	n, ok := s.proc.Switches(o.pid, o.TID)
	if !ok {
		return busy
	}
	f := m.flushes[o.TID]
	if f != nil && (f.start != o.Start || f.switches != n || !f.holds(s)) {
		delete(m.flushes, o.TID)
		f = nil
	}
	if !others && len(busy) > 0 {
		if f == nil {
			f = &flush{start: o.Start, switches: n, workers: make(map[int]uint64)}
			for _, w := range busy {
				if f.workers[w.TID], ok = s.proc.Switches(w.pid, w.TID); !ok {
					return busy
				}
			}
			m.flushes[o.TID] = f
		}
		if f.last != s {
			f.looks++
			f.last = s
		}
	}
	if f == nil || others && f.looks < 2 {
		return busy
	}
	return slices.DeleteFunc(busy, func(w *task) bool { _, was := f.workers[w.TID]; return !was })
}

// holds tells whether none of the workers has moved.
func (f *flush) holds(s *snapshot) bool {
	for tid, n := range f.workers {
		if s.busy[tid] == nil {
			return false
		}
		if now, ok := s.proc.Switches(tid, tid); !ok || now != n {
			return false
		}
	}
	return true
}

// atWork tells whether a workqueue worker is at an item, by its name: with '+'
// and the queue at work, with '-' and the queue of its last item when idle
// (wq_worker_comm in kernel/workqueue.c, since 4.18).
func (s *snapshot) atWork(t *task) bool {
	if strings.IndexByte(t.Comm, '+') >= 0 {
		return true
	}
	if strings.IndexByte(t.Comm, '-') >= 0 {
		return false
	}
	// It has never been at work, or the kernel does not name queues.
	switch t.State {
	case 'D', 'R':
		return true
	}
	if t.wchan == "" {
		t.wchan = s.proc.Wchan(t.pid, t.TID)
	}
	switch base(t.wchan) {
	case "", "worker_thread", "rescuer_thread":
		return false
	}
	return true
}

// anotherFlush tells whether it is another load whose init has likelier queued
// the work that a worker is at: the worker asked when that one went to sleep,
// and this one had long been asleep.
func (s *snapshot) anotherFlush(worker, o *task) bool {
	asked, ok := s.fell(worker)
	if fell, known := s.fell(o); !ok || !known || fell >= asked-near {
		return false
	}
	for _, t := range s.tasks {
		if t.module != "" && t.module != o.module && !t.waiter && s.coming[t.module] && t.Asleep() && isFlush(t.wchan) {
			if fell, known := s.fell(t); known && fell-asked > -near && fell-asked < near {
				return true
			}
		}
	}
	return false
}
