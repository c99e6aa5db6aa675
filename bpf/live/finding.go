// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/guard/graph"
)

// Finding is a circle of waits as events told of it. The chain begins at the load
// that is waited for and ends with the wait that closes it; each hop's certainty is
// that the one before waits for it.
//
// The files and tokens are for the caller to fill in: the tracker does no I/O.
type Finding struct {
	graph.Finding
	At   time.Duration // of the event that told
	Read time.Duration // when that event was read; 0 if none told

	// Of the one to be ended: see [graph.Finding.Victim].
	Load   uint64 // 0: it has not entered the wait yet
	TID    int
	Comm   string
	Cgroup uint64
	Token  string // of the guard's invocation
	How    bpf.WaitHow
	Sent   int32 // the signal that it was sent, [bpf.Unsent] or [bpf.Claimed]

	Surveyed bool // no event told: it was seen by looking at all tasks
}

// Result says what a load's call returned: live, or the error's name.
func Result(ret int32) string {
	if ret >= 0 {
		return "live"
	}
	return cmp.Or(unix.ErrnoName(unix.Errno(-ret)), fmt.Sprint(ret))
}

// Word says a certainty as watch has always said it.
func Word(c graph.Certainty) string {
	switch c {
	case graph.Certain:
		return "proven"
	case graph.Likely:
		return "likely"
	}
	return "unknown"
}

// The graph's nodes: loads are even, requests odd, by their place in the slice.
type nodes struct {
	loads    []*Load
	requests []*Request
}

func (n nodes) load(id graph.ID) *Load {
	if id%2 == 0 {
		return n.loads[id/2]
	}
	return nil
}

func (n nodes) request(id graph.ID) *Request {
	if id%2 == 1 {
		return n.requests[id/2]
	}
	return nil
}

// cycle returns the way from a waiting load back to itself, the waiter first;
// nil if it is in none of at least the given certainty.
func (t *Tracker) cycle(waiter uint64, least graph.Certainty) []any {
	var n nodes
	loadID := make(map[uint64]graph.ID)
	requestID := make(map[uint64]graph.ID)
	for id, l := range t.loads {
		loadID[id] = graph.ID(2 * len(n.loads))
		n.loads = append(n.loads, l)
	}
	for id, q := range t.requests {
		requestID[id] = graph.ID(2*len(n.requests) + 1)
		n.requests = append(n.requests, q)
	}
	var s graph.System
	for id, l := range t.loads {
		s.Add(loadID[id])
		if to, ok := loadID[l.Wait]; ok {
			s.Add(loadID[id], graph.Wait{For: []graph.ID{to}, Certainty: graph.Certain, Why: "waits for its load"})
		}
		if ctx, ok := requestID[l.Ctx]; ok {
			s.Add(ctx, graph.Wait{For: []graph.ID{loadID[id]}, Certainty: graph.Certain, Why: "a task below it loads"})
		}
	}
	for id, q := range t.requests {
		s.Add(requestID[id])
		if l := t.loads[q.Load]; l != nil {
			s.Add(loadID[q.Load], graph.Wait{For: []graph.ID{requestID[id]}, Certainty: hopCertainty(q, l), Why: "its request"})
		}
		// The requester may itself be in no load, but below a request.
		if up, ok := requestID[q.Parent]; ok && t.loads[q.Load] == nil {
			s.Add(up, graph.Wait{For: []graph.ID{requestID[id]}, Certainty: graph.Certain, Why: "a task below it requests"})
		}
	}
	start, ok := loadID[waiter]
	if !ok {
		return nil
	}
	var out []any
	for _, st := range s.Stuck(least).Cycle(start) {
		if l := n.load(st.Task); l != nil {
			out = append(out, l)
		} else {
			out = append(out, n.request(st.Task))
		}
	}
	return out
}

func hopCertainty(q *Request, l *Load) graph.Certainty {
	if q.Via == bpf.ViaTask || l.Asleep {
		return graph.Certain
	}
	return graph.Likely
}

func (t *Tracker) finding(w *Load, cert graph.Certainty, cycle []any, at time.Duration) Finding {
	f := Finding{
		Finding: graph.Finding{Module: w.WaitName, Certainty: cert, Waiter: int(w.TGID), Signal: w.WaitHow != bpf.WaitFileHard},
		At:      at, Load: w.ID, TID: int(w.TID), Comm: w.Comm, Cgroup: w.Cgroup, How: w.WaitHow, Sent: bpf.Unsent,
	}
	if len(cycle) == 0 {
		// Events that would tell the chain were lost: what is known, then.
		f.Chain = t.chainUp(w, at)
		return f
	}
	f.Chain = t.chain(cycle, at)
	return f
}

// chain writes a cycle, which begins at the waiter, out as hops that begin at
// the load it waits for and end with its wait.
func (t *Tracker) chain(cycle []any, at time.Duration) []graph.Hop {
	var hops []graph.Hop
	turned := append(append([]any(nil), cycle[1:]...), cycle[0])
	for i, node := range turned {
		switch n := node.(type) {
		case *Load:
			switch {
			case i == len(turned)-1:
				hops = append(hops, t.descent(n)...)
				hops = append(hops, waitHop(n, at))
			case n.Wait != 0:
				hops = append(hops, waitHop(n, at))
			default:
				hops = append(hops, t.descent(n)...)
				hops = append(hops, loadHop(n, at))
			}
		case *Request:
			cert := graph.Certain
			if l := t.loads[n.Load]; l != nil && hopCertainty(n, l) == graph.Likely {
				cert = graph.Likely
			}
			hops = append(hops, requestHop(n, cert, at))
			if n.Child != 0 {
				hops = append(hops, t.helperHop(n))
			}
		}
	}
	return hops
}

// chainUp is the waiter's descent, as far as it is known.
func (t *Tracker) chainUp(w *Load, at time.Duration) []graph.Hop {
	hops := []graph.Hop{waitHop(w, at)}
	for ctx, n := w.Ctx, 0; ctx != 0 && n < 64; n++ {
		q := t.requests[ctx]
		if q == nil {
			break
		}
		more := []graph.Hop{}
		if l := t.loads[q.Load]; l != nil {
			more = append(more, loadHop(l, at))
		}
		more = append(more, requestHop(q, graph.Certain, at))
		if q.Child != 0 {
			more = append(more, t.helperHop(q))
		}
		hops = append(more, hops...)
		if q.Load == w.Wait {
			break
		}
		ctx = q.Parent
	}
	return hops
}

// descent is the processes between a request's child and the task of a load.
func (t *Tracker) descent(l *Load) []graph.Hop {
	q := t.requests[l.Ctx]
	if q == nil {
		return nil
	}
	var hops []graph.Hop
	for tid, n := l.TID, 0; tid != 0 && tid != q.Child && n < 64; n++ {
		k := t.tasks[tid]
		if k == nil || k.Ctx != l.Ctx {
			break
		}
		if tid != l.TID {
			hops = append([]graph.Hop{{What: graph.HopProcess, PID: int(tid), TID: int(tid), Comm: k.Comm, Certainty: graph.Certain}}, hops...)
		}
		tid = k.Parent
	}
	return hops
}

func loadHop(l *Load, at time.Duration) graph.Hop {
	return graph.Hop{What: graph.HopLoad, Module: l.Module, FD: int(l.FD), PID: int(l.TGID), TID: int(l.TID), Comm: l.Comm,
		Cgroup: l.Cgroup, Certainty: graph.Certain, For: at - l.Begun}
}

func waitHop(l *Load, at time.Duration) graph.Hop {
	return graph.Hop{What: graph.HopWait, Module: l.WaitName, FD: int(l.FD), PID: int(l.TGID), TID: int(l.TID), Comm: l.Comm,
		Cgroup: l.Cgroup, Certainty: graph.Certain, For: at - l.WaitAt, How: l.WaitHow.String()}
}

func requestHop(q *Request, cert graph.Certainty, at time.Duration) graph.Hop {
	return graph.Hop{What: graph.HopRequest, Request: q.Name, PID: int(q.TGID), TID: int(q.TID), Comm: q.Comm, Via: q.Via.String(),
		Certainty: cert, For: at - q.Begun}
}

func (t *Tracker) helperHop(q *Request) graph.Hop {
	h := graph.Hop{What: graph.HopHelper, PID: int(q.Child), TID: int(q.Child), Certainty: graph.Certain}
	if k := t.tasks[q.Child]; k != nil {
		h.Comm = k.Comm
	}
	return h
}

// opened makes a finding of a task that has opened the file of a load that
// waits for it, and has been stopped, or not, before it could wait.
func (t *Tracker) opened(e bpf.Event) Finding {
	w := &Load{FD: -1, TID: e.TID, TGID: e.TGID, Comm: e.Comm, Cgroup: e.Cgroup, Ctx: e.Ctx, Wait: e.Peer,
		WaitHow: bpf.WaitOpen, WaitAt: e.At}
	if o := t.loads[e.Peer]; o != nil {
		w.WaitName = o.Module
	}
	f := t.finding(w, e.Cert, nil, e.At)
	f.Sent, f.Read = e.Ret, e.Read
	return f
}
