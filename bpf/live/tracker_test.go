// SPDX-License-Identifier: Apache-2.0

package live

import (
	"strings"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/guard/graph"
)

const ms = time.Millisecond

// play applies events and returns the findings and who came free.
func play(t *Tracker, events ...bpf.Event) (found []Finding, freed []Freed) {
	for i, e := range events {
		if e.At == 0 {
			e.At = time.Duration(i+1) * ms
		}
		r := t.Apply(e)
		found = append(found, r.Findings...)
		if r.Freed != nil {
			freed = append(freed, *r.Freed)
		}
	}
	return found, freed
}

func begin(id uint64, tid uint32, ctx uint64) bpf.Event {
	return bpf.Event{Kind: bpf.LoadBegin, ID: id, TID: tid, TGID: tid, Ctx: ctx, Comm: "modprobe", Ret: 3}
}

func initOf(id uint64, name string) bpf.Event { return bpf.Event{Kind: bpf.Init, ID: id, Name: name} }

func request(id uint64, tid uint32, load, ctx uint64, hop bpf.Via) bpf.Event {
	return bpf.Event{Kind: bpf.Request, ID: id, TID: tid, TGID: tid, Peer: load, Ctx: ctx, How: uint32(hop), Name: "alias"}
}

func child(id uint64, tid uint32) bpf.Event {
	return bpf.Event{Kind: bpf.Child, ID: id, TID: tid, Ctx: id, Comm: "modprobe"}
}

func wait(id, peer uint64, cert graph.Certainty) bpf.Event {
	return bpf.Event{Kind: bpf.Wait, ID: id, Peer: peer, How: uint32(bpf.WaitFile), Cert: cert, Ret: -1}
}

func outline(f Finding) string {
	var s []string
	for _, st := range f.Chain {
		w := st.What
		if st.Certainty == graph.Likely {
			w += "?"
		}
		s = append(s, w)
	}
	return strings.Join(s, " ")
}

func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []bpf.Event
		want   []string // certainty: chain
	}{
		{"itself, as the probe says", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
			begin(4, 101, 10), wait(4, 2, graph.Certain),
		}, []string{"proven: load request helper wait"}},
		{"itself, unseen by the probe's walk", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
			begin(4, 101, 10), wait(4, 2, 0),
		}, []string{"proven: load request helper wait"}},
		{"by name, its owner resolved here", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101), begin(4, 101, 10),
			{Kind: bpf.Wait, ID: 4, How: uint32(bpf.WaitName), Name: "a", Ret: -1},
		}, []string{"proven: load request helper wait"}},
		{"by name, before it is known whose it is", []bpf.Event{
			begin(2, 100, 0), begin(4, 200, 0), {Kind: bpf.Wait, ID: 4, How: uint32(bpf.WaitName), Name: "a", Ret: -1},
			// That waiter stands below a request of the one it waits for: only now is it known.
			request(10, 100, 2, 0, bpf.ViaTask), child(10, 101), begin(6, 101, 10),
			{Kind: bpf.Wait, ID: 6, How: uint32(bpf.WaitName), Name: "a", Ret: -1}, initOf(2, "a"),
		}, []string{"proven: load request helper wait"}},
		{"by name, of one that failed: then its own init runs", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), begin(4, 200, 0), wait(4, 2, 0), {Kind: bpf.LoadEnd, ID: 2, Ret: -1},
			initOf(4, "a"), request(10, 200, 4, 0, bpf.ViaTask), child(10, 201), begin(6, 201, 10), wait(6, 4, 0),
		}, []string{"proven: load request helper wait"}},
		{"innocent", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
			begin(4, 102, 0), wait(4, 2, 0), // another's
			begin(6, 101, 10), initOf(6, "b"),
		}, nil},
		{"after the request is over", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
			{Kind: bpf.Fork, TID: 101, Ret: 102, Ctx: 10}, {Kind: bpf.RequestEnd, ID: 10}, {Kind: bpf.Exit, TID: 101},
			begin(4, 102, 10), wait(4, 2, 0),
		}, nil},
		{"through a shell", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
			{Kind: bpf.Fork, TID: 101, Ret: 102, Ctx: 10, Comm: "modprobe"}, {Kind: bpf.Exec, TID: 102, Comm: "sh", Ctx: 10},
			{Kind: bpf.Fork, TID: 102, Ret: 103, Ctx: 10, Comm: "sh"},
			begin(4, 103, 10), wait(4, 2, 0),
		}, []string{"proven: load request helper process wait"}},
		{"two tasks crossing", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), begin(4, 200, 0), initOf(4, "b"),
			request(10, 100, 2, 0, bpf.ViaTask), child(10, 101), request(12, 200, 4, 0, bpf.ViaTask), child(12, 201),
			begin(6, 101, 10), wait(6, 4, 0), begin(8, 201, 12), wait(8, 2, 0),
		}, []string{"proven: load request helper wait load request helper wait"}},
		{"several below one request", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
			begin(4, 101, 10), wait(4, 2, 0),
			{Kind: bpf.Fork, TID: 101, Ret: 102, Ctx: 10}, begin(6, 102, 10), initOf(6, "c"),
		}, []string{"proven: load request helper wait"}},
		{"a kernel thread", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 150, 2, 0, bpf.ViaKthread), child(10, 101),
			begin(4, 101, 10), wait(4, 2, graph.Likely),
		}, []string{"likely: load request? helper wait"}},
		{"a request by a helper that is in no load", []bpf.Event{
			begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
			request(12, 101, 0, 10, bpf.ViaNone), child(12, 102), begin(4, 102, 12), wait(4, 2, 0),
		}, []string{"proven: load request helper request helper wait"}},
		{"the load's beginning was lost", []bpf.Event{
			request(10, 100, 2, 0, bpf.ViaTask), child(10, 101), wait(4, 2, graph.Certain),
		}, []string{"proven: wait"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr Tracker
			found, _ := play(&tr, c.events...)
			var got []string
			for _, f := range found {
				got = append(got, Word(f.Certainty)+": "+outline(f))
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("found %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestFreed(t *testing.T) {
	var tr Tracker
	found, freed := play(&tr,
		begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
		begin(4, 101, 10), wait(4, 2, graph.Certain),
		bpf.Event{Kind: bpf.LoadEnd, ID: 4, TID: 101, Ret: -4, At: 20 * ms},
		bpf.Event{Kind: bpf.LoadEnd, ID: 2, TID: 100, At: 30 * ms},
	)
	if len(found) != 1 || len(freed) != 1 {
		t.Fatalf("%d findings, %d freed", len(found), len(freed))
	}
	if f := freed[0]; f.Module != "a" || f.TID != 101 || f.After != 14*ms || f.Ret != -4 {
		t.Errorf("freed %+v", f)
	}
	if len(tr.loads) != 0 {
		t.Errorf("%d loads left", len(tr.loads))
	}
}

// The second of one circle has to be told again only while the circle lasts.
func TestClosed(t *testing.T) {
	var tr Tracker
	play(&tr, begin(2, 100, 0), initOf(2, "a"), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
		begin(4, 101, 10), wait(4, 2, graph.Certain), bpf.Event{Kind: bpf.LoadEnd, ID: 4, Ret: -4})
	second := wait(6, 2, graph.Certain)
	second.Ret = bpf.Claimed
	found, _ := play(&tr, begin(6, 102, 10), second)
	if len(found) != 1 || found[0].Sent != bpf.Claimed || !tr.Closed(6) {
		t.Errorf("found %+v, closed %v", found, tr.Closed(6))
	}
	play(&tr, bpf.Event{Kind: bpf.RequestEnd, ID: 10})
	if tr.Closed(6) {
		t.Error("closed after the request has ended")
	}
}

// After a loss what has ended must go, and what has not must stay.
func TestPrune(t *testing.T) {
	var tr Tracker
	play(&tr, begin(2, 100, 0), initOf(2, "a"), begin(4, 101, 10), request(10, 100, 2, 0, bpf.ViaTask), child(10, 101),
		request(12, 101, 4, 10, bpf.ViaTask), child(12, 102))
	tr.Prune(func(id uint64) bool { return id == 2 }, func(id uint64) bool { return id == 10 })
	if tr.loads[2] == nil || tr.loads[4] != nil || tr.requests[10] == nil || tr.requests[12] != nil {
		t.Errorf("kept loads %v, requests %v", tr.loads, tr.requests)
	}
	if tr.tasks[101] == nil || tr.tasks[102] != nil {
		t.Errorf("kept tasks %v", tr.tasks)
	}
}

// A cycle over a kernel thread is proven when the init behind it has stood
// still, once, and only while it lasts.
func TestStoodStill(t *testing.T) {
	var tr Tracker
	play(&tr, begin(2, 100, 0), initOf(2, "a"), request(10, 150, 2, 0, bpf.ViaKthread), child(10, 101),
		begin(4, 101, 10), wait(4, 2, graph.Likely))
	s := tr.Suspected()
	if len(s) != 1 || s[0].ID != 2 {
		t.Fatalf("suspected %+v", s)
	}
	found := tr.StoodStill(2, time.Second)
	if len(found) != 1 || found[0].Certainty != graph.Certain || found[0].Load != 4 {
		t.Fatalf("found %+v", found)
	}
	if len(tr.Suspected()) != 0 || len(tr.StoodStill(2, time.Second)) != 0 {
		t.Error("told twice")
	}
	if len(tr.StoodStill(99, time.Second)) != 0 {
		t.Error("a load that is not there stood still")
	}
}

// Whatever events come in whatever order, with whatever ids, the tracker must
// end and not panic: losses make any order possible.
func FuzzTracker(f *testing.F) {
	f.Add([]byte{4, 1, 0, 5, 1, 0, 1, 10, 1, 2, 10, 0, 4, 2, 10, 7, 2, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var tr Tracker
		for len(b) >= 3 {
			tr.Apply(bpf.Event{Kind: bpf.Kind(b[0] % 15), ID: uint64(b[1] % 8), Peer: uint64(b[2] % 8), Ctx: uint64(b[2] >> 5),
				TID: uint32(b[1] % 8), TGID: uint32(b[1] % 8), Ret: int32(b[2] % 8), How: uint32(b[0] >> 6), Cert: graph.Certainty(b[2] % 3)})
			b = b[3:]
		}
	})
}
