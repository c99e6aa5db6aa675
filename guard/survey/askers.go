// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"sort"

	"safeload/guard/graph"
	"safeload/internal/observe"
)

// otherStarts are the stuck tasks that run a module's init, or are at its end: a
// circle need not have a load in it that waits for another's.
func otherStarts(s *observe.Waits, guess *graph.Stuck) []graph.ID {
	var ids []int
	for tid, t := range s.Tasks {
		if t.Module != "" && !t.Waiter && guess.Has(graph.ID(tid)) {
			ids = append(ids, tid)
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(ids)))
	out := make([]graph.ID, len(ids))
	for i, id := range ids {
		out[i] = graph.ID(id)
	}
	return out
}

// chooseAsker says of a circle in which no load waits for another what closes it, and
// who has asked: call_usermodehelper_exec ends on SIGKILL, and he gives back what he
// holds. The load itself waits where no signal ends it.
func chooseAsker(s *observe.Waits, f *graph.Finding, cycle []graph.Step) {
	f.Kind = graph.Queue
	for _, step := range cycle {
		t := s.Tasks[int(step.Task)]
		if t == nil {
			continue
		}
		if t.Module != "" && (f.Module == "" || !t.Requester()) {
			f.Module = t.Module
		}
		if s.InLock(t.TID) {
			f.Kind = graph.Lock
		} else if step.Wait.Why == observe.WhyAsync {
			f.Kind = graph.Async
		}
		if t.Requester() && (f.Asker == 0 || f.Kernel) {
			f.Asker, f.Kernel = t.PID, t.Kthread()
		}
	}
}
