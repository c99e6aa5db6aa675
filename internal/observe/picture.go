// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"safeload/guard/graph"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TiedThread is the kernel thread or worker of a circle that an init is taken to wait
// for; nil if there is none, or the probe has seen it.
func (s *Waits) TiedThread(cycle []graph.Step) *Task {
	for i, step := range cycle {
		o := s.Tasks[int(step.Task)]
		t := s.Tasks[int(cycle[(i+1)%len(cycle)].Task)]
		if o != nil && t != nil && step.Wait.Certainty == graph.Likely && !o.Kthread() && t.Kthread() && !s.ByProbe[o.TID] {
			return t
		}
	}
	return nil
}

// KnotPicture is the picture of all that a task's end hangs on, when it is one of
// a circle.
func (s *Waits) KnotPicture(st *graph.Stuck, id graph.ID) string {
	if len(st.Knot(id)) == 0 {
		return ""
	}
	return s.Picture(st.Reach(id))
}

// InCall tells whether a thread of an invocation of ours is in the call that
// loads: there it moves as anybody does, and its entry says nothing of that.
func (s *Waits) InCall(e *registry.Entry, t *Task) bool {
	return e.State == registry.StateLoad && t != nil && (t.Kind == proc.FinitModule || t.Kind == proc.InitModule)
}

// Picture writes down everything about the given tasks that would be different
// had one of them moved; empty when one cannot be read.
func (s *Waits) Picture(ids []graph.ID) string {
	sorted := make([]int, 0, len(ids))
	for _, id := range ids {
		sorted = append(sorted, int(id))
	}
	for i := range sorted { // few
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	b := make([]byte, 0, 64*len(sorted))
	num := func(v uint64) { b = append(append(b, proc.Utoa(v)...), ' ') }
	for _, id := range sorted {
		num(uint64(id))
		if e := s.Entries[id]; e != nil && !s.InCall(e, s.Tasks[id]) {
			// Ours: it polls, and says itself what it waits for.
			num(e.Start)
			num(uint64(e.Since))
			b = append(append(b, e.State...), e.Module...)
			continue
		}
		t := s.Tasks[id]
		if t == nil {
			return ""
		}
		s.ReadStart(t) // of who is idle it was not read
		n, ok := s.Proc.Switches(t.PID, t.TID)
		if !ok || !t.Asleep() {
			return ""
		}
		num(t.Start)
		num(n)
		b = append(append(b, t.Wchan...), t.Module...)
	}
	return string(b)
}

// Chain is a cycle of waits with the tasks that wait.
func (s *Waits) Chain(cycle []graph.Step) graph.Chain {
	var all graph.Chain
	for _, step := range cycle {
		h := graph.Hop{TID: int(step.Task), PID: int(step.Task), Why: step.Wait.Why, Certainty: step.Wait.Certainty}
		if t := s.Tasks[h.TID]; t != nil {
			h.PID, h.Comm, h.Module = t.PID, t.Comm, t.Module
		}
		if e := s.Entries[h.TID]; e != nil {
			h.Module = e.Module
		}
		all = append(all, h)
	}
	return all
}
