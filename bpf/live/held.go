// SPDX-License-Identifier: Apache-2.0

package live

import (
	"time"

	"safeload/bpf"
	"safeload/guard/graph"
)

// A load that waits for a lock whose holder is in a request goes on when that request
// has ended, and not before. The request ends with its helper. That the helper waits for
// a load is certain only where its own task is in that load, or in a request of its own:
// a process between a helper and a load may be about to end.

// Held returns the circle that a load closes by waiting for a lock, if it is in one.
func (t *Tracker) Held(load uint64, at time.Duration) (Finding, bool) {
	l := t.loads[load]
	if l == nil || l.Module == "" {
		return Finding{}, false
	}
	q := t.requests[l.Holder]
	if q == nil {
		return Finding{}, false
	}
	hops := t.backTo(l, q, at, make(map[uint64]bool))
	if hops == nil {
		return Finding{}, false
	}
	f := Finding{Finding: graph.Finding{Module: l.Module, Certainty: graph.Certain, Kind: graph.Lock, Asker: int(q.TGID),
		Chain: append(graph.Chain{loadHop(l, at)}, hops...)},
		At: l.LockAt, Load: l.ID, TID: int(q.TID), Comm: q.Comm, How: l.LockHow, Sent: bpf.Unsent}
	return f, true
}

// backTo follows what a request waits for to a load, and returns the hops; nil if it
// does not come there.
func (t *Tracker) backTo(l *Load, q *Request, at time.Duration, seen map[uint64]bool) []graph.Hop {
	if q == nil || q.Child == 0 || seen[q.ID] {
		return nil
	}
	seen[q.ID] = true
	hops := []graph.Hop{requestHop(q, graph.Certain, at), t.helperHop(q)}
	for _, below := range t.loads {
		if below.TID != q.Child || below.Ctx != q.ID {
			continue
		}
		if below == l {
			return hops
		}
		if more := t.onFrom(l, below, at, seen); more != nil {
			return append(hops, more...)
		}
	}
	return nil
}

// onFrom follows what a load waits for.
func (t *Tracker) onFrom(l, from *Load, at time.Duration, seen map[uint64]bool) []graph.Hop {
	if seen[from.ID] {
		return nil
	}
	seen[from.ID] = true
	if to := t.loads[from.Wait]; to != nil {
		hop := waitHop(from, at)
		if to == l {
			return []graph.Hop{hop}
		}
		if more := t.onFrom(l, to, at, seen); more != nil {
			return append([]graph.Hop{hop}, more...)
		}
		return nil
	}
	for _, q := range t.requests {
		if q.Load != from.ID || q.Via != bpf.ViaTask {
			continue
		}
		if more := t.backTo(l, q, at, seen); more != nil {
			return append([]graph.Hop{loadHop(from, at)}, more...)
		}
	}
	return nil
}

// Requester is who made a request, as long as it is in flight.
func (t *Tracker) Requester(request uint64) (pid, tid int, ok bool) {
	q := t.requests[request]
	if q == nil {
		return 0, 0, false
	}
	return int(q.TGID), int(q.TID), true
}

// Task is a load's, as long as it is in flight.
func (t *Tracker) Task(load uint64) (pid, tid int, ok bool) {
	l := t.loads[load]
	if l == nil {
		return 0, 0, false
	}
	return int(l.TGID), int(l.TID), true
}

// Tell remembers that a circle of [Tracker.Held] was told.
func (t *Tracker) Tell(f *Finding) {
	if l := t.loads[f.Load]; l != nil {
		l.held = f.Asker
	}
}

// Told tells whether a circle that a survey shows is one that was told.
func (t *Tracker) Told(f *Finding) bool {
	if f.Kind != graph.Lock || f.Asker == 0 {
		return false
	}
	for _, h := range f.Chain {
		for _, l := range t.loads {
			if l.held == f.Asker && (int(l.TID) == h.TID || int(l.TGID) == h.PID) {
				return true
			}
		}
	}
	return false
}
