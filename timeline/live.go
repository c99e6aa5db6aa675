// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"slices"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
)

// Live tells of each load and request when it ends, from the events of a watch: as [Log] does from a record.
type Live struct {
	who asker
	t   *Timeline
}

// mostOpen is how many loads, and how many requests, a Live keeps that have not ended. The kernel runs at most 50 requests
// at a time, and each may start more; there are more only if their ends were lost.
const mostOpen = 4096

// NewLive begins one. who is as for [NewRecorder]. Only the times since boot mean something in what it tells: it does not know
// the clock on the wall.
func NewLive(who func(*bpf.Event) *Who, each func(Entry)) *Live {
	l := &Live{who: asker{who: who}, t: newTimeline()}
	l.t.ended = each
	return l
}

// Event takes what a source told.
func (l *Live) Event(e *bpf.Event) {
	if !recorded(e) {
		return
	}
	l.t.take(eventLine(e, &l.who))
	l.t.bound()
}

// Finding takes that a load waits for itself.
func (l *Live) Finding(f *live.Finding) { l.t.take(findingLine(f)) }

// bound forgets the older half of what has not ended, if that is more than there can be.
func (t *Timeline) bound() {
	if len(t.requests) > mostOpen {
		forgetOlder(t.requests, func(q *Request) time.Duration { return q.Begin })
	}
	if len(t.loads) > mostOpen {
		forgetOlder(t.loads, func(o *Load) time.Duration { return o.Begin })
		for o := range t.waiting {
			if t.loads[o.ID] != o {
				delete(t.waiting, o)
			}
		}
	}
}

func forgetOlder[E any](open map[ID]E, begin func(E) time.Duration) {
	ids := make([]ID, 0, len(open))
	for id := range open {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b ID) int {
		return cmp.Or(cmp.Compare(begin(open[a]), begin(open[b])), cmp.Compare(a, b))
	})
	for _, id := range ids[:len(ids)/2] {
		delete(open, id)
	}
}
