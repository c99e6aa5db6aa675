// SPDX-License-Identifier: Apache-2.0

package live

import (
	"time"

	"safeload/bpf"
	"safeload/guard/graph"
)

// Finding is a load that waits for itself, or for one that waits for it.
type Finding struct {
	Certainty bpf.Certainty
	At        time.Duration // of the event that told
	Read      time.Duration // when that event was read; 0 if none told
	Module    string        // that is waited for
	Load      uint64        // of the waiter; 0: it has not entered the wait yet
	TID       uint32        // of the waiter
	TGID      uint32
	Comm      string
	Cgroup    uint64
	Token     string // of the guard's invocation, for the caller to fill in
	How       bpf.WaitHow
	Signal    int32 // that the probe sent to the waiter, bpf.Unsent or bpf.Claimed
	Chain     []Step

	// Of a circle in which no load waits for another: what closes it. The waiter is then
	// who asked, and whether that is a kernel thread.
	Kind   graph.Kind
	Kernel bool
}

// What a step of a chain is.
const (
	StepLoad    = "load"    // a task is in a load
	StepRequest = "request" // somebody asks for a module on its behalf
	StepHelper  = "helper"  // the kernel started a child for the request
	StepProcess = "process" // that child's descendant
	StepWait    = "wait"    // a load waits for another, or for the chain's first
)

// Step is one of the chain from the load that is waited for to the wait that
// closes it. Each waits for the next.
type Step struct {
	What      string
	Module    string // load, wait
	FD        int32  // load, wait: the descriptor of its file, -1 none
	File      string // of FD, for the caller to fill in: the tracker does no I/O
	Request   string // request
	TID       uint32
	TGID      uint32
	Comm      string
	Cgroup    uint64
	Token     string        // for the caller to fill in, too
	Via       bpf.Hop       // request
	Certainty bpf.Certainty // that the step before waits for this one
	For       time.Duration // for how long
	How       bpf.WaitHow   // wait
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
	if q.Hop == bpf.HopTask || l.Asleep {
		return graph.Certain
	}
	return graph.Likely
}

func (t *Tracker) finding(w *Load, cert bpf.Certainty, cycle []any, at time.Duration) Finding {
	f := Finding{Certainty: cert, At: at, Module: w.WaitName, Load: w.ID, TID: w.TID, TGID: w.TGID, Comm: w.Comm,
		Cgroup: w.Cgroup, How: w.WaitHow, Signal: bpf.Unsent}
	if len(cycle) == 0 {
		// Events that would tell the chain were lost: what is known, then.
		f.Chain = t.chainUp(w, at)
		return f
	}
	f.Chain = t.chain(cycle, at)
	return f
}

// chain writes a cycle, which begins at the waiter, out as steps that begin at
// the load it waits for and end with its wait.
func (t *Tracker) chain(cycle []any, at time.Duration) []Step {
	var steps []Step
	turned := append(append([]any(nil), cycle[1:]...), cycle[0])
	for i, node := range turned {
		switch n := node.(type) {
		case *Load:
			switch {
			case i == len(turned)-1:
				steps = append(steps, t.descent(n)...)
				steps = append(steps, waitStep(n, at))
			case n.Wait != 0:
				steps = append(steps, waitStep(n, at))
			default:
				steps = append(steps, t.descent(n)...)
				steps = append(steps, loadStep(n, at))
			}
		case *Request:
			cert := bpf.Proven
			if l := t.loads[n.Load]; l != nil && hopCertainty(n, l) == graph.Likely {
				cert = bpf.Likely
			}
			steps = append(steps, requestStep(n, cert, at))
			if n.Child != 0 {
				steps = append(steps, t.helperStep(n))
			}
		}
	}
	return steps
}

// chainUp is the waiter's descent, as far as it is known.
func (t *Tracker) chainUp(w *Load, at time.Duration) []Step {
	steps := []Step{waitStep(w, at)}
	for ctx, n := w.Ctx, 0; ctx != 0 && n < 64; n++ {
		q := t.requests[ctx]
		if q == nil {
			break
		}
		more := []Step{}
		if l := t.loads[q.Load]; l != nil {
			more = append(more, loadStep(l, at))
		}
		more = append(more, requestStep(q, bpf.Proven, at))
		if q.Child != 0 {
			more = append(more, t.helperStep(q))
		}
		steps = append(more, steps...)
		if q.Load == w.Wait {
			break
		}
		ctx = q.Parent
	}
	return steps
}

// descent is the processes between a request's child and the task of a load.
func (t *Tracker) descent(l *Load) []Step {
	q := t.requests[l.Ctx]
	if q == nil {
		return nil
	}
	var steps []Step
	for tid, n := l.TID, 0; tid != 0 && tid != q.Child && n < 64; n++ {
		k := t.tasks[tid]
		if k == nil || k.Ctx != l.Ctx {
			break
		}
		if tid != l.TID {
			steps = append([]Step{{What: StepProcess, TID: tid, TGID: tid, Comm: k.Comm, Certainty: bpf.Proven}}, steps...)
		}
		tid = k.Parent
	}
	return steps
}

func loadStep(l *Load, at time.Duration) Step {
	return Step{What: StepLoad, Module: l.Module, FD: l.FD, TID: l.TID, TGID: l.TGID, Comm: l.Comm,
		Cgroup: l.Cgroup, Certainty: bpf.Proven, For: at - l.Begun}
}

func waitStep(l *Load, at time.Duration) Step {
	return Step{What: StepWait, Module: l.WaitName, FD: l.FD, TID: l.TID, TGID: l.TGID, Comm: l.Comm,
		Cgroup: l.Cgroup, Certainty: bpf.Proven, For: at - l.WaitAt, How: l.WaitHow}
}

func requestStep(q *Request, cert bpf.Certainty, at time.Duration) Step {
	return Step{What: StepRequest, Request: q.Name, TID: q.TID, TGID: q.TGID, Comm: q.Comm, Via: q.Hop,
		Certainty: cert, For: at - q.Begun}
}

func (t *Tracker) helperStep(q *Request) Step {
	s := Step{What: StepHelper, TID: q.Child, TGID: q.Child, Certainty: bpf.Proven}
	if k := t.tasks[q.Child]; k != nil {
		s.Comm = k.Comm
	}
	return s
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
	f.Signal, f.Read = e.Ret, e.Read
	return f
}
