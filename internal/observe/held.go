// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"time"

	"safeload/guard/graph"
	"safeload/internal/proc"
)

// Locks tells from the kernel's memory who holds the lock that a thread waits for.
type Locks interface {
	Of(pid, tid int) (graph.Holding, bool)
}

// HeldAfter is how long a load must have slept before its lock is worth a look
// at the kernel's memory: most contention is over in less.
const HeldAfter = time.Second

// MayBeHeld tells whether a load sleeps that nothing else explains while somebody
// waits for a helper: it may wait for a lock of that one.
func (s *Waits) MayBeHeld() bool {
	asked, held := false, false
	for _, t := range s.Tasks {
		asked = asked || t.Requester()
		if !held && s.inUnknown(t) {
			d, known := s.Asleep(t)
			held = !known || d >= HeldAfter
		}
	}
	return asked && held
}

// inUnknown: it loads, and sleeps neither for another load nor for its own helper
// nor for a set time.
func (s *Waits) inUnknown(t *Task) bool {
	return t.Module != "" && !t.Waiter && t.State == 'D' && !IsRequesting(t.Wchan) && !IsTimed(t.Wchan) && !isFlush(t.Wchan)
}

// ReadLocks follows each such load to who holds its lock, and on from there. Only
// what is asleep can wait.
func (s *Waits) ReadLocks(locks Locks) {
	s.holds = make(map[int]graph.Holding)
	var queue []*Task
	for _, t := range s.Tasks {
		if s.inUnknown(t) {
			queue = append(queue, t)
		}
	}
	seen := make(map[int]bool)
	for len(queue) > 0 {
		t := queue[0]
		queue = queue[1:]
		if seen[t.TID] || !t.Asleep() || t.Requester() { // what that one waits for is known
			continue
		}
		seen[t.TID] = true
		h, ok := locks.Of(t.PID, t.TID)
		if !ok {
			continue
		}
		o := s.holder(h)
		if o == nil {
			continue
		}
		s.holds[t.TID] = h
		queue = append(queue, o)
	}
}

// holder is who holds a lock: any thread.
func (s *Waits) holder(h graph.Holding) *Task {
	if t := s.Tasks[h.TID]; t != nil {
		return t
	}
	st, err := s.Proc.Stat(h.PID, h.TID)
	if err != nil {
		return nil
	}
	t := &Task{Stat: st, PID: h.PID, Kind: proc.Other, Wchan: s.Proc.Wchan(h.PID, h.TID)}
	if p := s.Tasks[h.PID]; p != nil {
		t.ProcessStart = p.ProcessStart
	}
	s.Tasks[h.TID] = t
	return t
}

// InLock tells whether a task waits for a lock, as far as that was asked.
func (s *Waits) InLock(tid int) bool {
	_, held := s.holds[tid]
	_, may := s.mayHold[tid]
	return held || may
}

// lockWaits adds the wait of a task for a lock. Who waits for one does nothing else.
func (s *Waits) lockWaits(g *graph.System, t *Task, how Reading) bool {
	h, ok := s.holds[t.TID]
	if !ok {
		return false
	}
	if how != Exact || h.Certainty == graph.Certain {
		g.Add(graph.ID(t.TID), graph.Wait{For: []graph.ID{graph.ID(h.TID)}, Certainty: h.Certainty, Why: WhyLock(h.Kind)})
	}
	return true
}

// WhyLock is why somebody waits for who holds a lock.
func WhyLock(kind string) string { return "waits for a " + kind + " that is held" }
