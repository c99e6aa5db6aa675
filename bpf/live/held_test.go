// SPDX-License-Identifier: Apache-2.0

package live

import (
	"testing"

	"safeload/bpf"
	"safeload/guard/graph"
)

func lock(id, holder uint64) bpf.Event {
	return bpf.Event{Kind: bpf.Lock, ID: id, Peer: holder, How: uint32(bpf.WaitMutex)}
}

func TestHeld(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []bpf.Event
		load   uint64 // that waits for a lock
		asker  int
		want   string // chain; empty: no circle
	}{
		{"of who asked for it", []bpf.Event{
			request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), begin(2, 101, 10), initOf(2, "a"), lock(2, 10),
		}, 2, 50, "load request helper"},
		{"of somebody who is in no request", []bpf.Event{
			request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), begin(2, 101, 10), initOf(2, "a"), lock(2, 0),
		}, 2, 0, ""},
		{"of somebody who waits for another helper", []bpf.Event{
			request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), begin(2, 101, 10), initOf(2, "a"),
			request(11, 60, 0, 0, bpf.ViaNone), child(11, 102), begin(4, 102, 11), initOf(4, "b"), lock(2, 11),
		}, 2, 0, ""},
		{"of who asked, whose request is over", []bpf.Event{
			request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), begin(2, 101, 10), initOf(2, "a"), lock(2, 10),
			{Kind: bpf.RequestEnd, ID: 10},
		}, 2, 0, ""},
		{"of who asked, and the helper is a shell above the load", []bpf.Event{
			request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), {Kind: bpf.Fork, TID: 101, Ret: 102, Ctx: 10},
			begin(2, 102, 10), initOf(2, "a"), lock(2, 10),
		}, 2, 0, ""},
		{"of who asked for what asked for it", []bpf.Event{
			request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), begin(2, 101, 10), initOf(2, "a"),
			request(11, 101, 2, 10, bpf.ViaTask), child(11, 102), begin(4, 102, 11), initOf(4, "b"), lock(4, 10),
		}, 4, 50, "load request helper load request helper"},
		{"of who asked for what waits for it", []bpf.Event{
			begin(2, 200, 0), initOf(2, "a"),
			request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), begin(4, 101, 10), wait(4, 2, 0), lock(2, 10),
		}, 2, 50, "load request helper wait"},
		{"of a kernel thread's request for a load that moves", []bpf.Event{
			begin(2, 200, 0), initOf(2, "a"),
			request(10, 50, 2, 0, bpf.ViaKthread), child(10, 101), begin(4, 101, 10), initOf(4, "b"), lock(2, 10),
		}, 2, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr Tracker
			if found, _ := play(&tr, c.events...); len(found) != 0 {
				t.Errorf("events alone: %+v", found)
			}
			f, ok := tr.Held(c.load, 100*ms)
			if ok != (c.want != "") || outline(f) != c.want || f.Victim() != c.asker {
				t.Fatalf("%v %q, asker %d; want %q, %d", ok, outline(f), f.Victim(), c.want, c.asker)
			}
			if ok && (f.Kind != graph.Lock || f.Certainty != graph.Certain || f.How != bpf.WaitMutex || f.Surveyed) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// What an event told a survey does not tell again; what another load waits for it does.
func TestTold(t *testing.T) {
	var tr Tracker
	play(&tr, request(10, 50, 0, 0, bpf.ViaNone), child(10, 101), begin(2, 101, 10), initOf(2, "a"), lock(2, 10))
	f, _ := tr.Held(2, 100*ms)
	seen := Finding{Finding: graph.Finding{Kind: graph.Lock, Asker: 50, Chain: graph.Chain{{PID: 101, TID: 101}, {PID: 50, TID: 50}}}}
	if tr.Told(&seen) {
		t.Error("told before it was")
	}
	tr.Tell(&f)
	if !tr.Told(&seen) {
		t.Error("not taken for the same")
	}
	other := seen
	other.Asker = 60
	if tr.Told(&other) {
		t.Error("another's request is taken for it")
	}
	tr.Apply(bpf.Event{Kind: bpf.LoadEnd, ID: 2})
	if tr.Told(&seen) {
		t.Error("told of a load that has ended")
	}
}
