// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"slices"
	"time"

	"safeload/bpf"
	"safeload/guard/graph"
)

// Load is one call of finit_module or init_module. Times are since boot.
type Load struct {
	ID       ID
	Module   string // empty if it ended before the kernel had its name
	PID, TID uint32
	Comm     string
	Who      *Who
	Begin    time.Duration
	Init     time.Duration // its init began; 0 none did
	End      time.Duration
	Ended    bool // else End is where the record ends
	Ret      int32
	Asked    *Request // the request from whose helper it comes, or nil
	Why      *Reason  // nil: not known, or not asked of a [Tree]
	Waits    []Wait   // its own task's, by time; none overlaps another
	Requests []*Request
	Found    graph.Certainty // that it waits for itself
}

// Wait is a time in which a load's task went on only when something else had ended, or in which it did one thing.
type Wait struct {
	How      string // name, file, request; or what a [bpf.Phase] is
	From, To time.Duration
	For      *Load    // or nil
	Request  *Request // or nil
	Name     string
}

// Request is a helper that the kernel was asked for.
type Request struct {
	ID       ID
	Name     string // empty: it is not for a module
	PID, TID uint32
	Comm     string
	Who      *Who
	Load     *Load // for which it is made, or nil
	Via      bpf.Via
	Parent   *Request // from whose helper the requester comes
	Begin    time.Duration
	Started  time.Duration // its helper ran; 0 it did not
	Helper   uint32
	End      time.Duration
	Ended    bool
	Loads    []*Load // what its helper loaded
	Ret      int32   // negative errno, or the wait status of its helper
	Told     bool    // whether Ret is known: from a ring of a request that brought nothing
}

// Timeline is what a record holds.
type Timeline struct {
	Start    Start
	Loads    []*Load
	Requests []*Request
	From, To time.Duration
	Lost     uint64
	Whole    bool // the record has its end
	Full     bool // it got too large

	loads    map[ID]*Load
	requests map[ID]*Request
	waiting  map[*Load]*Wait // whose end is not known yet
	phases   []bpf.Phase     // of loads that are found by their task in the end: they are told late
	ended    func(Entry)     // told of each that ends; then none is kept
	now      Now
}

func newTimeline() *Timeline {
	return &Timeline{loads: make(map[ID]*Load), requests: make(map[ID]*Request), waiting: make(map[*Load]*Wait)}
}

func (t *Timeline) take(l *line) {
	at := time.Duration(l.At)
	switch l.Type {
	case "start":
		when, _ := time.Parse(time.RFC3339Nano, l.Time)
		t.Start = Start{when, at, l.BootID, l.Release, l.Machine, l.Source, l.Missing, l.Phases}
		t.From, t.To = at, at
	case "event":
		t.To = max(t.To, at)
		if at > 0 {
			t.From = min(t.From, at)
		}
		t.event(l, at)
	case "phase":
		if t.ended == nil && slices.Contains(bpf.PhaseKinds, l.What) && l.Begin < l.At {
			t.phases = append(t.phases, bpf.Phase{TID: l.TID, What: l.What, From: time.Duration(l.Begin), To: at})
		}
	case "finding":
		if o := t.loads[l.ID]; o != nil {
			o.Found = max(o.Found, graph.Certainty(l.Cert))
		}
	case "lost":
		t.Lost += l.Events
	case "full":
		t.Full = true
	case "end":
		t.Whole = true
		t.To = max(t.To, at)
	}
}

func (t *Timeline) event(l *line, at time.Duration) {
	switch kinds[l.Kind] {
	case bpf.Request:
		q := &Request{Parent: t.requests[l.Ctx], ID: l.ID, Name: l.Name, PID: l.PID, TID: l.TID, Comm: l.Comm, Who: l.Who, Load: t.loads[l.Peer], Via: bpf.Via(l.How), Begin: at}
		t.requests[l.ID] = q
		if t.ended == nil {
			t.Requests = append(t.Requests, q)
		}
	case bpf.Child:
		if q := t.requests[l.ID]; q != nil {
			q.Started, q.Helper = at, l.TID
		}
	case bpf.RequestEnd:
		if q := t.requests[l.ID]; q != nil {
			q.End, q.Ended = at, true
			t.over(l.ID, Entry{Request: q})
		}
	case bpf.LoadBegin:
		t.load(l, at)
	case bpf.Wait:
		o := t.load(l, at)
		if w := t.waiting[o]; w != nil { // told again, now with whom
			w.For = cmp.Or(w.For, t.loads[l.Peer])
			return
		}
		t.waiting[o] = &Wait{How: bpf.WaitHow(l.How).String(), From: at, Name: l.Name, For: t.loads[l.Peer]}
	case bpf.Init:
		if o := t.loads[l.ID]; o != nil {
			o.Module, o.Init = l.Name, at
			t.waited(o, at)
		}
	case bpf.LoadEnd:
		if o := t.loads[l.ID]; o != nil {
			o.Ended, o.Ret = true, l.Ret
			t.until(o, at)
			t.over(l.ID, Entry{Load: o})
		}
	}
}

// over tells of what has ended, where that is wanted.
func (t *Timeline) over(id ID, e Entry) {
	if t.ended == nil {
		return
	}
	if e.Load != nil {
		delete(t.loads, id)
	} else {
		delete(t.requests, id)
	}
	t.ended(e)
}

// load finds the load of an event, or makes it: its beginning may have been lost, or be older than the record.
func (t *Timeline) load(l *line, at time.Duration) *Load {
	o := t.loads[l.ID]
	if o == nil {
		o = &Load{ID: l.ID, PID: l.PID, TID: l.TID, Comm: l.Comm, Who: l.Who, Begin: at}
		t.loads[l.ID] = o
		if o.Asked = t.requests[l.Ctx]; o.Asked != nil {
			o.Asked.Loads = append(o.Asked.Loads, o)
		}
		if t.ended == nil {
			t.Loads = append(t.Loads, o)
		}
	}
	return o
}

// until says where a load ends, with what it waits for and is called by then.
func (t *Timeline) until(o *Load, at time.Duration) {
	o.End = at
	t.waited(o, at)
	if o.Module == "" {
		o.Module = wantedName(o)
	}
}

// stillOn is where a load or request that has begun at a time and has not ended is taken to end: with the record.
func (t *Timeline) stillOn(begin time.Duration) time.Duration { return max(t.To, begin) }

// waited ends a load's wait for another.
func (t *Timeline) waited(o *Load, at time.Duration) {
	w := t.waiting[o]
	if w == nil {
		return
	}
	delete(t.waiting, o)
	w.To = at
	if w.For != nil && w.For.Ended && w.For.End > w.From {
		w.To = min(w.To, w.For.End)
	}
	o.Waits = append(o.Waits, *w)
}

// finish ties together what the events told apart.
func (t *Timeline) finish() {
	for _, q := range t.Requests {
		if !q.Ended {
			q.End = t.stillOn(q.Begin)
		}
		if q.Load == nil {
			continue
		}
		q.Load.Requests = append(q.Load.Requests, q)
		if q.TID == q.Load.TID {
			q.Load.Waits = append(q.Load.Waits, Wait{How: "request", From: q.Begin, To: q.End, Request: q, Name: q.Name})
		}
	}
	for _, o := range t.Loads {
		if !o.Ended {
			o.End = t.stillOn(o.Begin)
		}
		t.until(o, o.End)
	}
	t.placePhases()
	for _, o := range t.Loads {
		slices.SortStableFunc(o.Waits, func(a, b Wait) int { return cmp.Compare(a.From, b.From) })
		o.Waits = apart(o.Waits, o.End)
	}
	t.loads, t.requests, t.waiting = nil, nil, nil
}

// placePhases gives each phase to the load of its task.
func (t *Timeline) placePhases() {
	tasks := make(map[uint32][]*Load)
	for _, o := range t.Loads {
		tasks[o.TID] = append(tasks[o.TID], o)
	}
	for _, loads := range tasks {
		slices.SortStableFunc(loads, func(a, b *Load) int { return cmp.Compare(a.Begin, b.Begin) })
	}
	for _, p := range t.phases {
		loads := tasks[p.TID]
		n, _ := slices.BinarySearchFunc(loads, p.From, func(a *Load, at time.Duration) int { return cmp.Compare(a.Begin, at+1) })
		if n > 0 && p.From < loads[n-1].End {
			loads[n-1].Waits = append(loads[n-1].Waits, Wait{How: p.What, From: p.From, To: p.To})
		}
	}
	t.phases = nil
}

// wantedName is what a load that never got a name waited for.
func wantedName(o *Load) string {
	for _, w := range o.Waits {
		switch {
		case w.How == "request", slices.Contains(bpf.PhaseKinds, w.How):
		case w.Name != "":
			return w.Name
		case w.For != nil:
			return w.For.Module
		}
	}
	return ""
}

// apart cuts waits so that none overlaps another. What begins in another is a part of it, as the sleep in a wait is.
func apart(waits []Wait, end time.Duration) []Wait {
	var all []Wait
	for _, w := range waits {
		if n := len(all); n > 0 && w.From < all[n-1].To {
			if phases[w.How] != "" { // the time until its task runs again is no other sleep
				continue
			}
			w.From = all[n-1].To
		}
		if w.To = min(w.To, end); w.To > w.From {
			all = append(all, w)
		}
	}
	return all
}

// Took is the time from the call to its end.
func (o *Load) Took() time.Duration { return o.End - o.Begin }

// forOthers tells whether a wait is for what others have or do. The rest is a load's own.
func (w *Wait) forOthers() bool {
	return w.How != bpf.PhaseDisk && w.How != bpf.PhaseDecompress && w.How != bpf.PhaseAsleep
}

// Waited is how much of it its task waited for others.
func (o *Load) Waited() (d time.Duration) {
	for i := range o.Waits {
		if w := &o.Waits[i]; w.forOthers() {
			d += w.To - w.From
		}
	}
	return d
}

// Own is the rest: reading, decompressing, linking, and its init, asleep or not.
func (o *Load) Own() time.Duration { return o.Took() - o.Waited() }

// Dearest are the loads that cost most by themselves, the first most.
func (t *Timeline) Dearest(n int) []*Load {
	all := slices.Clone(t.Loads)
	slices.SortStableFunc(all, func(a, b *Load) int { return cmp.Compare(b.Own(), a.Own()) })
	return all[:min(n, len(all))]
}
