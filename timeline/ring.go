// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"slices"
	"time"

	"safeload/bpf"
)

// Ring tells of each load and request that the ring of a probe has, as [Log] does from a record: of each load, and of those
// requests of which no load came.
type Ring struct {
	start    Start
	tasks    *Tasks
	loads    map[ID]*Load // that were told, or go on
	requests map[ID]*Request
	answers  map[bpf.Task]answer // of one Take
}

// NewRing begins one. start says of which kernel and boot the ring is, and since when; tasks, if not nil, is asked who loads
// and requests, and stays the caller's.
func NewRing(start Start, tasks *Tasks) *Ring {
	return &Ring{start: start, tasks: tasks, loads: make(map[ID]*Load), requests: make(map[ID]*Request)}
}

// mostTold bounds what is kept of what was told: the ring itself has less.
const mostTold = 4096

// Take turns what was read from a ring into entries: what has ended, by that time, and what goes on. The timeline has all
// of their loads.
func (r *Ring) Take(taken *bpf.Taken, now Now) (t *Timeline, ended, open []Entry) {
	t = newTimeline()
	t.Start, t.now, t.From, t.To = r.start, now, r.start.Boot, now.Boot
	r.answers = make(map[bpf.Task]answer)
	r.begin(t, taken)
	if len(r.loads) > mostTold {
		clear(r.loads)
	}
	if len(r.requests) > mostTold {
		clear(r.requests)
	}
	for i := range taken.New {
		if e := &taken.New[i]; e.Load != 0 {
			o := &Load{ID: ID(e.Load), Module: e.Module, PID: e.By.TGID, TID: e.By.TID, Comm: e.By.Comm, Who: r.who(e.By, e.Begin),
				Begin: e.Begin, End: e.End, Ended: true, Ret: e.Ret}
			delete(t.loads, o.ID)
			r.loads[o.ID] = o
			t.Loads = append(t.Loads, o)
		}
	}
	// Requests after the loads: for one of these they may be made, whichever ended first.
	for i := range taken.New {
		if e := &taken.New[i]; e.Load == 0 && e.Asked != nil {
			q := r.request(t, e)
			q.End, q.Ended, q.Begin, q.Ret, q.Told = e.End, true, e.Begin, e.Ret, e.Told
			delete(t.requests, q.ID)
			ended = append(ended, Entry{Request: q})
		}
	}
	for i := range taken.New {
		if e := &taken.New[i]; e.Load != 0 {
			o := r.loads[ID(e.Load)]
			if o.Asked = r.request(t, e); o.Asked != nil {
				o.Asked.Loads = append(o.Asked.Loads, o)
			}
			ended = append(ended, Entry{Load: o})
		}
	}
	slices.SortStableFunc(ended, func(a, b Entry) int { return cmp.Compare(a.Ended(), b.Ended()) })
	return t, ended, t.goOn()
}

// begin takes what goes on.
func (r *Ring) begin(t *Timeline, taken *bpf.Taken) {
	var who asker
	if r.tasks != nil {
		who.who = r.tasks.Who
	}
	for i := range taken.InFlight {
		if e := &taken.InFlight[i]; recorded(e) {
			t.take(eventLine(e, &who))
		}
	}
	t.To = max(t.To, t.now.Boot)
	t.Requests = nil
	for id, o := range t.loads {
		r.loads[id] = o
	}
	for id, q := range t.requests {
		r.requests[id] = q
	}
}

// request finds the request of an entry, or makes it; nil if there is none, or it is not known.
func (r *Ring) request(t *Timeline, e *bpf.Ended) *Request {
	id := ID(e.Request)
	q, a := r.requests[id], e.Asked
	if a == nil || id == 0 {
		return q
	}
	if q == nil {
		q = &Request{ID: id}
		r.requests[id] = q
	}
	q.Name, q.PID, q.TID, q.Comm, q.Via, q.Helper = a.Name, a.TGID, a.TID, a.Comm, a.Via, a.Helper
	q.Load = cmp.Or(r.loads[ID(a.For)], q.Load)
	q.Who = r.who(a.Task, e.Begin)
	return q
}

func (r *Ring) who(task bpf.Task, at time.Duration) *Who {
	if r.tasks == nil {
		return &Who{UID: task.UID}
	}
	// Who was asked for an earlier time is the same later.
	if a, ok := r.answers[task]; ok && a.at <= at {
		return a.who
	}
	a := answer{at, r.tasks.Was(task, at)}
	r.answers[task] = a
	return a.who
}

// answer is who a task was at a time.
type answer struct {
	at  time.Duration
	who *Who
}
