// SPDX-License-Identifier: Apache-2.0

// Package live keeps the picture of what is being loaded, from the events of
// the probe or of another source, and says who waits for itself and along
// which chain. The probe decides at the moment of the wait; here the same
// question is asked of the whole graph, which also holds what the probe's
// bounded walk leaves out: requests with several tasks below them, and inits
// that fall asleep only after what they started came to wait.
//
// It does no I/O.
package live

import (
	"time"

	"safeload/bpf"
	"safeload/guard/graph"
)

// Load is one call of finit_module or init_module in flight.
type Load struct {
	ID       uint64
	Module   string // empty until its init is about to run
	Begun    time.Duration
	TID      uint32
	TGID     uint32
	Comm     string
	Cgroup   uint64
	FD       int32  // -1: init_module
	Ctx      uint64 // request that its task descends from
	Asleep   bool   // its task has stood still in a wait for a completion
	Wait     uint64 // load that it waits for
	WaitName string
	WaitHow  bpf.WaitHow
	WaitAt   time.Duration
	Holder   uint64 // request in which the holder of the lock is that it waits for, or waited
	LockHow  bpf.WaitHow
	LockAt   time.Duration

	reported graph.Certainty
	held     int // who asked, of the circle over a lock that was told
}

// Request is a helper that the kernel was asked for and whose end is waited for.
type Request struct {
	ID     uint64
	Name   string // empty: not for a module
	Begun  time.Duration
	TID    uint32 // requester
	TGID   uint32
	Comm   string
	Load   uint64 // for which it is made, 0 none
	Parent uint64 // request that the requester descends from
	Via    bpf.Via
	Child  uint32
}

// Task is a task that descends from a request's child.
type Task struct {
	TID    uint32
	Parent uint32 // 0 for the child itself
	Comm   string
	Ctx    uint64
}

// Tracker is the picture. The zero value is empty.
type Tracker struct {
	loads    map[uint64]*Load
	requests map[uint64]*Request
	tasks    map[uint32]*Task
}

// Report is what one event led to. Several fields may be set.
type Report struct {
	Findings []Finding
	Freed    *Freed   // a waiter that was found left its wait
	Load     *Load    // a load ended
	Request  *Request // a request ended
	Took     time.Duration
	Ret      int32 // of the load
}

// Freed says that a waiter of a finding is out of its system call.
type Freed struct {
	Module string
	Load   uint64
	TID    uint32
	TGID   uint32
	Comm   string
	After  time.Duration // since the wait began
	Ret    int32         // of the system call; negative errno
}

// Apply takes an event in.
func (t *Tracker) Apply(e bpf.Event) Report {
	if t.loads == nil {
		t.loads = make(map[uint64]*Load)
		t.requests = make(map[uint64]*Request)
		t.tasks = make(map[uint32]*Task)
	}
	var r Report
	switch e.Kind {
	case bpf.Request:
		t.requests[e.ID] = &Request{ID: e.ID, Name: e.Name, Begun: e.At, TID: e.TID, TGID: e.TGID, Comm: e.Comm,
			Load: e.Peer, Parent: e.Ctx, Via: bpf.Via(e.How)}
	case bpf.Child:
		if q := t.requests[e.ID]; q != nil {
			q.Child = e.TID
		}
		t.tasks[e.TID] = &Task{TID: e.TID, Comm: e.Comm, Ctx: e.ID}
	case bpf.RequestEnd:
		if q := t.requests[e.ID]; q != nil {
			r.Request, r.Took = q, e.At-q.Begun
			delete(t.requests, e.ID)
		}
	case bpf.LoadBegin:
		t.loads[e.ID] = &Load{ID: e.ID, Begun: e.At, TID: e.TID, TGID: e.TGID, Comm: e.Comm,
			Cgroup: e.Cgroup, FD: e.Ret, Ctx: e.Ctx}
	case bpf.Init:
		if l := t.loads[e.ID]; l != nil {
			t.init(l, e, &r)
		}
	case bpf.LoadEnd:
		t.loadEnd(e, &r)
	case bpf.Wait:
		t.wait(e, &r)
	case bpf.Lock:
		if l := t.loads[e.ID]; l != nil {
			l.Holder, l.LockHow, l.LockAt = e.Peer, bpf.WaitHow(e.How), e.At
		}
	case bpf.Opened:
		r.Findings = append(r.Findings, t.opened(e))
	case bpf.Fork:
		t.tasks[uint32(e.Ret)] = &Task{TID: uint32(e.Ret), Parent: e.TID, Comm: e.Comm, Ctx: e.Ctx}
	case bpf.Exec:
		if k := t.tasks[e.TID]; k != nil {
			k.Comm = e.Comm
		}
	case bpf.Exit:
		delete(t.tasks, e.TID)
	}
	return r
}

// Oldest returns since when the oldest load is in flight that descends from a request,
// or that somebody else may have asked for: none where nobody waits for a helper.
func (t *Tracker) Oldest() (since time.Duration, any bool) {
	if len(t.requests) == 0 {
		return 0, false
	}
	for _, l := range t.loads {
		if l.Wait == 0 && (!any || l.Begun < since) {
			since, any = l.Begun, true
		}
	}
	return since, any
}

// Suspected returns the loads that likely findings rest on: what a kernel
// thread or work item does on their behalf waits for them. Such a finding is
// proven once the load's own task has stood still: see [Tracker.StoodStill].
func (t *Tracker) Suspected() []*Load {
	var all []*Load
	seen := make(map[uint64]bool)
	for _, l := range t.loads {
		if l.reported != graph.Likely {
			continue
		}
		for _, node := range t.cycle(l.ID, graph.Likely) {
			q, ok := node.(*Request)
			if !ok || seen[q.Load] {
				continue
			}
			if o := t.loads[q.Load]; o != nil && hopCertainty(q, o) == graph.Likely {
				seen[q.Load] = true
				all = append(all, o)
			}
		}
	}
	return all
}

// StoodStill says that a load's own task has been asleep in a wait for a
// completion, without once waking, for as long as the caller thinks enough.
func (t *Tracker) StoodStill(load uint64, at time.Duration) []Finding {
	l := t.loads[load]
	if l == nil {
		return nil
	}
	l.Asleep = true
	var r Report
	t.again(at, &r)
	l.Asleep = false // once this wait is broken it goes on, and sleeps for other reasons
	return r.Findings
}

// init takes in that a load has a name and that its init runs next.
func (t *Tracker) init(l *Load, e bpf.Event, r *Report) {
	if l.reported != 0 {
		r.Freed = freed(l, e.At, 0)
	}
	// The load that had this name before has failed. Others may have begun to
	// wait for the name before this load got it.
	l.Module, l.Wait, l.WaitName, l.reported = e.Name, 0, "", 0
	for _, w := range t.loads {
		if w != l && w.Wait == 0 && w.WaitHow == bpf.WaitName && w.WaitName == e.Name {
			w.Wait = l.ID
			t.judge(w, e, r)
		}
	}
}

// Closed reports whether a load is, for certain, in a circle of waits.
func (t *Tracker) Closed(load uint64) bool { return t.cycle(load, graph.Certain) != nil }

// Prune drops what has ended without its event having come through, as its
// source says of loads and of requests.
func (t *Tracker) Prune(load, request func(id uint64) bool) {
	for id := range t.loads {
		if !load(id) {
			delete(t.loads, id)
		}
	}
	for id := range t.requests {
		if !request(id) {
			delete(t.requests, id)
		}
	}
	for tid, k := range t.tasks {
		if t.requests[k.Ctx] == nil {
			delete(t.tasks, tid)
		}
	}
}

func (t *Tracker) loadEnd(e bpf.Event, r *Report) {
	l := t.loads[e.ID]
	if l == nil {
		return
	}
	delete(t.loads, e.ID)
	r.Load, r.Took, r.Ret = l, e.At-l.Begun, e.Ret
	if l.reported != 0 {
		r.Freed = freed(l, e.At, e.Ret)
	}
}

func freed(l *Load, at time.Duration, ret int32) *Freed {
	return &Freed{Module: l.WaitName, Load: l.ID, TID: l.TID, TGID: l.TGID, Comm: l.Comm, After: at - l.WaitAt, Ret: ret}
}

func (t *Tracker) wait(e bpf.Event, r *Report) {
	l := t.loads[e.ID]
	if l == nil {
		// Its beginning was lost, or is older than the source.
		l = &Load{ID: e.ID, Begun: e.At, TID: e.TID, TGID: e.TGID, Comm: e.Comm, Cgroup: e.Cgroup, FD: -1, Ctx: e.Ctx}
		t.loads[e.ID] = l
	}
	if l.WaitAt == 0 { // a wait by name is told again at each wake-up until it is known for whom
		l.WaitAt = e.At
	}
	l.Wait, l.WaitName, l.WaitHow = e.Peer, e.Name, bpf.WaitHow(e.How)
	if l.Wait == 0 && e.Name != "" {
		if o := t.named(e.Name); o != nil && o != l {
			l.Wait = o.ID
		}
	}
	if o := t.loads[l.Wait]; o != nil && l.WaitName == "" {
		l.WaitName = o.Module
	}
	if e.Cert == graph.Certain && e.Peer != 0 {
		l.reported = e.Cert
		f := t.finding(l, e.Cert, t.cycle(l.ID, graph.Likely), e.At)
		f.Sent, f.Read = e.Ret, e.Read
		r.Findings = append(r.Findings, f)
		return
	}
	t.judge(l, e, r)
}

// again looks anew at all who wait, after something was learned of a load.
func (t *Tracker) again(at time.Duration, r *Report) {
	for _, l := range t.loads {
		if l.Wait != 0 && l.reported != graph.Certain {
			t.judge(l, bpf.Event{At: at}, r)
		}
	}
}

func (t *Tracker) judge(l *Load, e bpf.Event, r *Report) {
	cert := graph.Certain
	steps := t.cycle(l.ID, graph.Certain)
	if steps == nil {
		cert = graph.Likely
		steps = t.cycle(l.ID, graph.Likely)
	}
	if steps == nil || cert <= l.reported {
		return
	}
	l.reported = cert
	f := t.finding(l, cert, steps, e.At)
	f.Read = e.Read
	r.Findings = append(r.Findings, f)
}

func (t *Tracker) named(module string) *Load {
	for _, l := range t.loads {
		if l.Module == module {
			return l
		}
	}
	return nil
}
