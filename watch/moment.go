// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"strings"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/clock"
	"safeload/internal/observe"
	"safeload/internal/proc"
)

// The probe tells at the moment when a load begins to wait for a lock, and whether the
// holder is in a request then. That may have changed by now, so both are read once more
// before a circle is told: that the load still waits for a lock of that holder, by the
// probe's maps and by the kernel's memory; and that the holder is still in that request,
// and sleeps there. A holder that has just begun to wait does not sleep yet: look at it
// some more times.
//
// A holder who is in no request may wait for one who is, or come to: if the load still
// waits after hintAfter, all tasks are looked at, as for a load that takes long.
const (
	hintAfter    = 100 * time.Millisecond
	confirmAfter = 10 * time.Millisecond // and then twice as long, and so on
	confirmTries = 6
)

// moment is a load that began to wait for a lock.
type moment struct {
	load, holder uint64
	due          time.Time
	tries        int
}

// moments are those that are not settled.
type moments struct {
	all []moment

	contends  func(load uint64) (holder uint64, ok bool)
	requested func(request uint64) bool
	asks      func(pid, tid int) (kernel, ok bool) // it sleeps in a request
}

func (m *moments) begin(e *bpf.Event, now time.Time) {
	after := hintAfter
	if e.Peer != 0 {
		after = 0
	}
	m.all = append(m.all, moment{load: e.ID, holder: e.Peer, due: now.Add(after)})
}

// due is when look is to be called again.
func (m *moments) due() (first time.Time, ok bool) {
	if m == nil {
		return first, false
	}
	for _, o := range m.all {
		if first.IsZero() || o.due.Before(first) {
			first = o.due
		}
	}
	return first, !first.IsZero()
}

// look returns the circles that are confirmed, and has held look where an event alone
// does not tell.
func (m *moments) look(now time.Time, t *live.Tracker, h *held, c clock.Clock) []live.Finding {
	var found []live.Finding
	left := m.all[:0]
	for _, o := range m.all {
		if now.Before(o.due) {
			left = append(left, o)
			continue
		}
		holder, waits := m.contends(o.load)
		if !waits || holder != o.holder {
			continue // it has the lock, or that was told anew
		}
		f, circle := t.Held(o.load, time.Duration(c.Boot()))
		if !circle {
			h.sooner(now)
			continue
		}
		if !h.looking && m.confirm(&f, o.holder, t, h.source) {
			f.Read = time.Duration(c.Boot())
			t.Tell(&f)
			found = append(found, f)
			continue
		}
		if o.tries++; o.tries >= confirmTries {
			h.sooner(now)
			continue
		}
		o.due = now.Add(confirmAfter << o.tries)
		left = append(left, o)
	}
	m.all = left
	return found
}

// waits tells whether who asked is still the one whose end would free a load, of a
// circle that an event told.
func (m *moments) waits(f *live.Finding, t *live.Tracker, h *held) bool {
	holder, waits := m.contends(f.Load)
	now, circle := t.Held(f.Load, f.At)
	if !waits || !circle || now.Victim() != f.Victim() {
		return false
	}
	h.await()
	return m.confirm(&now, holder, t, h.source)
}

// confirm reads all anew that a circle rests on. source is nil where the kernel's locks
// cannot be read.
func (m *moments) confirm(f *live.Finding, request uint64, t *live.Tracker, source survey.Locks) bool {
	pid, tid, ok := t.Task(f.Load)
	asker, thread, ok2 := t.Requester(request)
	if !ok || !ok2 {
		return false
	}
	if source != nil {
		l, ok := source.Of(pid, tid)
		source.Close() // for this time
		if !ok || l.TID != thread || l.Certainty != graph.Certain {
			return false
		}
	}
	if f.Kernel, ok = m.asks(asker, thread); !ok {
		return false
	}
	holder, waits := m.contends(f.Load)
	return waits && holder == request && m.requested(request)
}

// asks reads where a thread sleeps. On 32-bit ARM a return probe hides the function.
func asks(pid, tid int) (kernel, ok bool) {
	fs, err := proc.OpenProc()
	if err != nil {
		return false, false
	}
	defer fs.Close()
	fs.Bounded(func(fs *proc.FS) {
		o, err := fs.Outline(pid, tid)
		if err != nil {
			return
		}
		kernel = o.Kthread()
		w := fs.Wchan(pid, tid)
		ok = observe.IsRequesting(w) || strings.Contains(w, "kretprobe_trampoline")
	})
	return kernel, ok
}
