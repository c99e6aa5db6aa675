// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"strings"
	"time"

	"safeload/guard/graph"
)

// WhyMayHold is why a load waits for who asked for it where the lock itself cannot be read.
const WhyMayHold = "waits for a lock, by its stack, which who asked may hold"

// guessAfter is how long a load must have stood still in a lock for that.
const guessAfter = 10 * time.Second

// GuessLocks takes a load that has long been asleep in a lock, as its stack says,
// to wait for who asked for it, where the kernel's memory cannot be read. Anybody else
// who is asleep in the kernel might hold it: there must be nobody, but those who
// wait for a lock themselves or for a helper.
func (s *Waits) GuessLocks() {
	s.mayHold = make(map[int][]graph.ID)
	for _, t := range s.Tasks {
		if !s.inUnknown(t) || !inLock(s.Proc.Stack(t.PID, t.TID)) {
			continue
		}
		h := s.helperAbove(t.PID)
		if h == nil {
			continue
		}
		askers := s.askersOf(h, s.Helpers())
		if len(askers) == 0 || !s.LongAsleep(guessAfter, append([]*Task{t}, askers...)...) || s.othersHold() {
			continue
		}
		for _, a := range askers {
			s.mayHold[t.TID] = append(s.mayHold[t.TID], graph.ID(a.TID))
		}
	}
}

// inLock tells whether a stack, a function a line, is that of a wait for a lock.
func inLock(stack string) bool {
	for line := range strings.Lines(stack) {
		_, name, _ := strings.Cut(line, "] ")
		if name == "" {
			name = line
		}
		for _, f := range []string{"mutex_lock", "__mutex_lock", "__ww_mutex_lock", "rwsem_down_", "down_read", "down_write", "device_lock"} {
			if strings.HasPrefix(name, f) {
				return true
			}
		}
		// Only what is on top: below may stand the lock of another wait.
		if !strings.HasPrefix(name, "schedule") && !strings.HasPrefix(name, "__schedule") {
			return false
		}
	}
	return false
}

// othersHold tells whether somebody sleeps uninterruptibly, or works for the kernel,
// who waits for no lock and for no helper.
func (s *Waits) othersHold() bool {
	for _, t := range s.Tasks {
		if t.Gone() {
			continue
		}
		if t.State == 'D' && s.mayWork(t) || t.Kthread() && t.State == 'R' {
			return true
		}
		if t.Threads < 2 || !t.Process() {
			continue
		}
		others := false
		_ = s.Proc.Threads(t.PID, func(tid int) bool {
			if s.Tasks[tid] == nil && s.Proc.ThreadState(t.PID, tid) == 'D' {
				others = !inLock(s.Proc.Stack(t.PID, tid))
			}
			return !others
		})
		if others {
			return true
		}
	}
	return false
}

func (s *Waits) mayWork(t *Task) bool {
	return !IsRequesting(t.Wchan) && !inLock(s.Proc.Stack(t.PID, t.TID))
}

// guessedWaits adds what GuessLocks has found.
func (s *Waits) guessedWaits(g *graph.System, t *Task, how Reading) bool {
	who, ok := s.mayHold[t.TID]
	if !ok {
		return false
	}
	if how != Exact {
		g.Add(graph.ID(t.TID), graph.Wait{For: who, Certainty: graph.Likely, Why: WhyMayHold})
	}
	return true
}
