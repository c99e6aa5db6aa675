// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
)

// heldLocks says who holds what a thread waits for.
type heldLocks map[int]graph.Holding

func (l heldLocks) Of(_, tid int) (graph.Holding, bool) {
	h, ok := l[tid]
	return h, ok
}
func (heldLocks) Close() {}

// atMoment is a load of m, by 101 for the request 10 of 50, that begins to wait for a lock.
type atMoment struct {
	tracker   live.Tracker
	held      *held
	moments   moments
	holder    uint64 // as the probe's map has it now
	waits     bool
	requested bool
	asks      bool
}

func newAtMoment() *atMoment {
	m := &atMoment{held: newHeld(func() {}), holder: 10, waits: true, requested: true, asks: true}
	m.held.source = heldLocks{101: {PID: 50, TID: 50, Certainty: graph.Certain}}
	m.moments = moments{contends: func(uint64) (uint64, bool) { return m.holder, m.waits },
		requested: func(uint64) bool { return m.requested }, asks: func(int, int) (bool, bool) { return false, m.asks }}
	for _, e := range []bpf.Event{
		{Kind: bpf.Request, ID: 10, TID: 50, TGID: 50, Comm: "nft"},
		{Kind: bpf.Child, ID: 10, TID: 101},
		{Kind: bpf.LoadBegin, ID: 2, TID: 101, TGID: 101, Ctx: 10},
		{Kind: bpf.Init, ID: 2, Name: "m"},
	} {
		m.tracker.Apply(e)
	}
	return m
}

// tell has the event come, and looks until nothing is left to be looked at.
func (m *atMoment) tell(holder uint64) (found []live.Finding) {
	now := time.Unix(1000, 0)
	e := bpf.Event{Kind: bpf.Lock, ID: 2, Peer: holder, How: uint32(bpf.WaitMutex), At: time.Second}
	m.tracker.Apply(e)
	m.moments.begin(&e, now)
	for {
		due, ok := m.moments.due()
		if !ok {
			return found
		}
		now = due
		found = append(found, m.moments.look(now, &m.tracker, m.held, &fakeClock{now: now})...)
	}
}

func TestMoment(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *atMoment)
		holder uint64
		found  int
		sooner bool // all tasks are looked at
	}{
		"of who asked":                     {func(*atMoment) {}, 10, 1, false},
		"locks cannot be read":             {func(m *atMoment) { m.held.source = nil }, 10, 1, false},
		"it has the lock by now":           {func(m *atMoment) { m.waits = false }, 10, 0, false},
		"another holds it by now":          {func(m *atMoment) { m.holder = 11 }, 10, 0, false},
		"memory says another holds it":     {func(m *atMoment) { m.held.source = heldLocks{101: {PID: 60, TID: 60, Certainty: graph.Certain}} }, 10, 0, true},
		"memory does not say who holds it": {func(m *atMoment) { m.held.source = heldLocks{} }, 10, 0, true},
		"one of several readers":           {func(m *atMoment) { m.held.source = heldLocks{101: {PID: 50, TID: 50, Certainty: graph.Likely}} }, 10, 0, true},
		"who asked does not sleep in that": {func(m *atMoment) { m.asks = false }, 10, 0, true},
		"the request is over":              {func(m *atMoment) { m.requested = false }, 10, 0, true},
		"the holder is in no request":      {func(m *atMoment) { m.holder = 0 }, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newAtMoment()
			c.change(m)
			found := m.tell(c.holder)
			if len(found) != c.found || m.held.next.IsZero() == c.sooner {
				t.Fatalf("found %+v, all tasks are looked at: %v", found, !m.held.next.IsZero())
			}
			if c.found == 0 {
				return
			}
			if f := found[0]; f.Module != "m" || f.Kind != graph.Lock || f.Victim() != 50 || f.Comm != "nft" || f.At != time.Second || f.Read == 0 || f.Surveyed {
				t.Errorf("%+v", f)
			}
			if !m.moments.waits(&found[0], &m.tracker, m.held) {
				t.Error("who asked is taken to wait no longer")
			}
			m.requested = false
			if m.moments.waits(&found[0], &m.tracker, m.held) {
				t.Error("who asked is taken to wait still")
			}
		})
	}
}

// The locks have one reader: while all tasks are looked at, a circle waits.
func TestMomentWhileLooking(t *testing.T) {
	m := newAtMoment()
	m.held.looking = true
	if found := m.tell(10); len(found) != 0 || !m.held.wanted {
		t.Errorf("found %+v; wanted %v", found, m.held.wanted)
	}
}
