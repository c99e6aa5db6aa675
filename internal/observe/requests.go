// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"cmp"
	"slices"
	"time"

	"safeload/guard/graph"
	"safeload/internal/clock"
	"safeload/internal/registry"
)

// A requester and its helper are not linked by anything in /proc. What is
// known: each requester that waits for a helper's end has one helper of its
// own, started after it began to wait.

// candidates are the helpers that may be the one a requester waits for.
func (s *Waits) candidates(r *Task, helpers []*Task) []*Task {
	if all, had := s.mayHelp[r.TID]; had {
		return all
	}
	var all []*Task
	for _, h := range helpers {
		if _, others := s.RequesterOf[h.PID]; others {
			continue
		}
		if h.Start < r.Start || s.Descends(r.PID, h.PID) {
			continue
		}
		if e := s.Entries[r.PID]; e != nil && r.Module == e.Module && e.State == registry.StateLoad &&
			int64(h.Start+1)*clock.Tick < e.Since {
			continue // older than the load whose init asks
		}
		all = append(all, h)
	}
	s.mayHelp[r.TID] = all
	return all
}

// matchedRequesters tells which requesters certainly have their helper among those seen.
// One that began to wait a moment ago may have none yet; and when there are
// more of the others than helpers, one of them waits for something else
// (UMH_WAIT_EXEC), and nothing is certain of any.
func (s *Waits) matchedRequesters(helpers []*Task, before *Waits) map[int]bool {
	trusted := make(map[int]bool)
	if before == nil || s.incomplete {
		return trusted
	}
	var settled []*Task
	for _, t := range s.Tasks {
		if !t.Requester() || s.probeKnows(t.TID) {
			continue
		}
		if b := before.Tasks[t.TID]; b != nil && b.Requester() && b.Start == t.Start {
			settled = append(settled, t)
		}
	}
	// Kuhn's augmenting paths; the sets are small.
	taken := make(map[int]int) // helper -> index in settled
	var try func(i int, seen map[int]bool) bool
	try = func(i int, seen map[int]bool) bool {
		for _, h := range s.candidates(settled[i], helpers) {
			if seen[h.PID] {
				continue
			}
			seen[h.PID] = true
			if j, ok := taken[h.PID]; !ok || try(j, seen) {
				taken[h.PID] = i
				return true
			}
		}
		return false
	}
	for i := range settled {
		if !try(i, make(map[int]bool)) {
			return map[int]bool{}
		}
	}
	for _, t := range settled {
		trusted[t.TID] = true
	}
	return trusted
}

// requestWaits adds the wait of a task in request_module for its helper.
func (s *Waits) requestWaits(g *graph.System, r *Task, helpers []*Task, how Reading, trusted map[int]bool) {
	w := graph.Wait{Certainty: graph.Certain, Why: "waits in request_module for its helper"}
	for h, tid := range s.RequesterOf {
		if tid == r.TID {
			w.For = []graph.ID{graph.ID(h)}
			g.Add(graph.ID(r.TID), w)
			return
		}
	}
	if how == Exact && !trusted[r.TID] {
		return
	}
	all := s.candidates(r, helpers)
	if how != Exact {
		w.Certainty = graph.Likely
		if len(all) == 1 && trusted[r.TID] {
			w.Certainty = graph.Certain
		}
		all = s.nearestHelpers(r, all)
		if how == Paired && len(all) > 1 {
			if h := s.pairHelpers(helpers)[r.TID]; h != nil {
				all = []*Task{h}
			}
		}
	}
	for _, h := range all {
		w.For = append(w.For, graph.ID(h.PID))
	}
	g.Add(graph.ID(r.TID), w)
}

// duplicateWaits adds the wait of a task that repeats a request: for the end of
// the first one's helper, which is any of those there are, and may be above it. A
// guard goes by no such wait: to refuse a helper that is not the one frees nobody.
func (s *Waits) duplicateWaits(g *graph.System, t *Task, helpers []*Task) {
	if !s.dups || len(helpers) == 0 {
		return
	}
	w := graph.Wait{Certainty: graph.Certain, Why: "repeats a request, and waits for the first one's helper"}
	for _, h := range helpers {
		w.For = append(w.For, graph.ID(h.PID))
	}
	g.Add(graph.ID(t.TID), w)
}

// near is how far the end of a requester's last run and the start of its
// helper may be apart, in nanoseconds of the scheduler's clock. A machine that
// has no time may take longer: see askersOf.
const near = 250_000_000

// nearestHelpers narrows candidates to those whose worker went to sleep, having
// started them, about when the requester did. All of them when that tells
// nothing.
func (s *Waits) nearestHelpers(r *Task, all []*Task) []*Task {
	if len(all) < 2 || s.Proc == nil {
		return all
	}
	asked, ok := s.lastRan(r.PID, r.TID)
	if !ok {
		return all
	}
	var close []*Task
	for _, h := range all {
		started, ok := s.lastRan(h.PPID, h.PPID)
		if !ok {
			return all
		}
		d := int64(started - asked)
		if d > -near && d < near {
			close = append(close, h)
		}
	}
	if len(close) == 0 {
		return all
	}
	return close
}

// sameMoment is how far apart two requests must be to tell them apart by their
// times.
const sameMoment = 30 * int64(time.Millisecond)

// RequestedBy reports whether the helper that pid is, or descends from, was
// requested by a member of a knot. If several tasks may have requested it, all of
// them must be members: anybody may request a module at any time, and only the
// times tell which helper is whose.
func (s *Waits) RequestedBy(pid int, knot []graph.ID) bool {
	h := s.helperAbove(pid)
	if h == nil {
		return true // no request leads to it
	}
	if s.incomplete {
		return false
	}
	in := func(tid int) bool { return slices.Contains(knot, graph.ID(tid)) }
	if tid, ok := s.RequesterOf[h.PID]; ok {
		return in(tid)
	}
	helpers := s.Helpers()
	askers := s.askersOf(h, helpers)
	if len(askers) == 0 {
		return false
	}
	for _, r := range askers {
		if !in(r.TID) {
			return false
		}
	}
	// Some requests are not seen, of threads that may not be asked what they
	// do. If these askers have fewer helpers of their own than are at hand, one
	// is of such a request.
	n := 0
	for _, o := range helpers {
		all := s.askersOf(o, helpers)
		if slices.ContainsFunc(all, func(r *Task) bool { return slices.Contains(askers, r) }) {
			n++
		}
	}
	return n <= len(askers)
}

// helperAbove is the helper of the kernel that a process is or descends from.
func (s *Waits) helperAbove(pid int) *Task {
	for range 64 {
		t := s.Tasks[pid]
		if t == nil || t.PPID <= 1 {
			return nil
		}
		if s.Workers[t.PPID] {
			return t
		}
		pid = t.PPID
	}
	return nil
}

// askersOf are the requesters whose helper h may be, by the moments at which
// they and its worker went to sleep; where the kernel does not tell these, all
// whose candidate it is. Who has no other candidate waits for this one, however
// long after his request the machine came to start it: of him the order alone
// is asked. A helper that was there before is another's, who may have been killed,
// and his own is on its way.
func (s *Waits) askersOf(h *Task, helpers []*Task) []*Task {
	var all []*Task
	var apart []int64
	least := int64(1 << 62)
	timed := true
	for _, r := range s.Tasks {
		if !r.Requester() || s.probeKnows(r.TID) || !slices.Contains(s.candidates(r, helpers), h) {
			continue
		}
		d, ok := s.startedAfter(r, h)
		timed = timed && ok
		all, apart = append(all, r), append(apart, d)
		least = min(least, max(d, -d))
	}
	if !timed {
		return all
	}
	i := -1
	return slices.DeleteFunc(all, func(r *Task) bool {
		i++
		d, mine := max(apart[i], -apart[i]), s.candidates(r, helpers)
		if d > least+sameMoment || d > near && (len(mine) > 1 || apart[i] < 0) {
			return true
		}
		// Another helper may fit it better.
		for _, o := range mine {
			if other, ok := s.startedAfter(r, o); ok && max(other, -other)+sameMoment < d {
				return true
			}
		}
		return false
	})
}

// startedAfter is how long after a request a helper was started; less than zero
// where that was before.
func (s *Waits) startedAfter(r, h *Task) (int64, bool) {
	asked, ok1 := s.lastRan(r.PID, r.TID)
	started, ok2 := s.lastRan(h.PPID, h.PPID)
	return int64(started - asked), ok1 && ok2
}

// pairHelpers gives each requester one helper, and each helper one requester: in the
// order in which they asked and were started, for the kernel's queue of helpers
// is first come, first served (call_usermodehelper_exec in kernel/umh.c); when
// the numbers differ, by who went to sleep when. Requests a moment apart may be
// taken for each other, so nothing is decided by it.
func (s *Waits) pairHelpers(helpers []*Task) map[int]*Task {
	if s.LikeliestHelper != nil || s.Proc == nil {
		return s.LikeliestHelper
	}
	s.LikeliestHelper = make(map[int]*Task)
	type asker struct {
		*Task
		at uint64
	}
	var askers []asker
	for _, r := range s.Tasks {
		if r.Requester() && !s.probeKnows(r.TID) {
			at, ok := s.lastRan(r.PID, r.TID)
			if !ok {
				return s.LikeliestHelper
			}
			askers = append(askers, asker{r, at})
		}
	}
	slices.SortFunc(askers, func(a, b asker) int { return cmp.Or(cmp.Compare(a.at, b.at), a.TID-b.TID) })
	var free []*Task
	for _, h := range helpers {
		if _, others := s.RequesterOf[h.PID]; !others {
			free = append(free, h)
		}
	}
	slices.SortFunc(free, func(a, b *Task) int { return cmp.Or(cmp.Compare(a.Start, b.Start), a.PID-b.PID) })
	mine := func(r, h *Task) bool { return slices.Contains(s.candidates(r, helpers), h) }
	if len(askers) == len(free) {
		inOrder := true
		for i, r := range askers {
			inOrder = inOrder && mine(r.Task, free[i])
		}
		if inOrder {
			for i, r := range askers {
				s.LikeliestHelper[r.TID] = free[i]
			}
			return s.LikeliestHelper
		}
	}
	taken := make(map[int]bool)
	for _, r := range askers {
		var best *Task
		var least uint64
		for _, h := range free {
			started, ok := s.lastRan(h.PPID, h.PPID)
			if !ok || taken[h.PID] || !mine(r.Task, h) {
				continue
			}
			if d := int64(started - r.at); best == nil || uint64(max(d, -d)) < least {
				best, least = h, uint64(max(d, -d))
			}
		}
		if best != nil {
			s.LikeliestHelper[r.TID], taken[best.PID] = best, true
		}
	}
	return s.LikeliestHelper
}

// probeKnows tells whether the probe has linked a requester to its helper.
func (s *Waits) probeKnows(tid int) bool {
	for _, t := range s.RequesterOf {
		if t == tid {
			return true
		}
	}
	return false
}
