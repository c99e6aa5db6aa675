// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"slices"
	"time"
)

// Step is a part of the critical path: what everything after it waited for.
type Step struct {
	From, To time.Duration
	What     string // load, init, wait, request, helper, between
	How      string // of a wait: what a [bpf.Phase] is
	Load     *Load
	Request  *Request
}

// maxSteps bounds a path: records may be anybody's.
const maxSteps = 10_000

// Critical is the critical path to the load that ended last: going back in time from there, each step is what had to end
// before the next could begin. It says what was, not what would be were one of them quicker.
func (t *Timeline) Critical() []Step {
	var last *Load
	for _, o := range t.Loads {
		if o.Ended && o.Ret >= 0 && o.Init != 0 && (last == nil || o.End > last.End) {
			last = o
		}
	}
	if last == nil {
		return nil
	}
	p := &path{byTask: make(map[uint32][]*Load), brought: make(map[*Request][]*Load)}
	for _, o := range t.Loads {
		p.byTask[o.PID] = append(p.byTask[o.PID], o)
	}
	for _, loads := range p.byTask {
		slices.SortStableFunc(loads, func(a, b *Load) int { return cmp.Compare(a.End, b.End) })
	}
	for at, until := last, last.End; at != nil && p.calls < maxSteps; {
		p.within(at, until, 0)
		at, until = p.before(at)
	}
	slices.Reverse(p.steps)
	return p.steps
}

// path is a critical path in work, from its end to its beginning.
type path struct {
	steps  []Step
	byTask map[uint32][]*Load // by End
	calls  int                // of within

	brought map[*Request][]*Load // of each request that was followed, the last that ended first
}

func (p *path) add(from, to time.Duration, what string, o *Load, q *Request) {
	if to > from && len(p.steps) < maxSteps {
		p.steps = append(p.steps, Step{From: from, To: to, What: what, Load: o, Request: q})
	}
}

// own adds what a load did by itself, its init apart.
func (p *path) own(o *Load, from, to time.Duration) {
	if o.Init > from && o.Init < to {
		p.add(o.Init, to, "init", o, nil)
		to = o.Init
	}
	what := "load"
	if o.Init != 0 && from >= o.Init {
		what = "init"
	}
	p.add(from, to, what, o, nil)
}

// within follows a load back from a time to its beginning, into what it waited for.
func (p *path) within(o *Load, until time.Duration, depth int) {
	p.calls++
	for i := len(o.Waits) - 1; i >= 0; i-- {
		w := &o.Waits[i]
		if w.To > until {
			continue
		}
		p.own(o, w.To, until)
		until = w.From
		switch {
		case phases[w.How] != "":
			p.add(w.From, w.To, "wait", o, nil)
			if n := len(p.steps); n > 0 && p.steps[n-1].From == w.From {
				p.steps[n-1].How = w.How
			}
		case depth > 50 || p.calls > maxSteps:
			what := "load"
			if w.Request != nil {
				what = "request"
			}
			p.add(w.From, w.To, what, o, w.Request)
		case w.Request != nil:
			p.through(w.Request, depth+1)
		case w.For != nil && w.For.End <= w.To && w.For.Begin < w.To:
			p.add(w.For.End, w.To, "load", o, nil)
			p.within(w.For, w.For.End, depth+1)
			if w.For.Begin < until { // it had begun before: so far this load had not mattered
				p.cut(until)
			} else {
				p.add(until, w.For.Begin, "load", o, nil)
			}
		default:
			p.add(w.From, w.To, "load", o, nil)
		}
	}
	p.own(o, o.Begin, until)
}

// cut takes away what is before a time.
func (p *path) cut(at time.Duration) {
	for n := len(p.steps); n > 0 && p.steps[n-1].From < at; n-- {
		if s := &p.steps[n-1]; s.To > at {
			s.From = at
			return
		}
		p.steps = p.steps[:n-1]
	}
}

// through follows a request back from its end: its helper's loads, one after the other.
func (p *path) through(q *Request, depth int) {
	until := q.End
	loads, known := p.brought[q]
	if !known {
		loads = slices.Clone(q.Loads)
		slices.SortStableFunc(loads, func(a, b *Load) int { return cmp.Compare(b.End, a.End) })
		p.brought[q] = loads
	}
	for _, o := range loads {
		if p.calls > maxSteps {
			break
		}
		if o.End > until || o.Begin < q.Begin {
			continue
		}
		p.add(o.End, until, "helper", nil, q)
		p.within(o, o.End, depth)
		until = o.Begin
	}
	p.add(q.Begin, until, "helper", nil, q)
}

// before finds what had to end before a load began: another of its process, or the request that it comes from.
func (p *path) before(o *Load) (*Load, time.Duration) {
	q := o.Asked
	since := time.Duration(0)
	if q != nil {
		since = q.Begin
	}
	loads := p.byTask[o.PID]
	n, _ := slices.BinarySearchFunc(loads, o.Begin, func(a *Load, at time.Duration) int { return cmp.Compare(a.End, at+1) })
	if n > 0 && loads[n-1] != o && loads[n-1].End >= since {
		p.add(loads[n-1].End, o.Begin, "between", loads[n-1], nil)
		return loads[n-1], loads[n-1].End
	}
	if q == nil {
		return nil, 0
	}
	p.add(q.Begin, o.Begin, "helper", nil, q)
	if q.Load != nil && q.Load.Begin < q.Begin {
		return q.Load, q.Begin
	}
	return nil, 0
}
