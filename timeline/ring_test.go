// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/docs/schema"
)

// ringTask is a task that no process of the machine is.
func ringTask(n uint32, comm string) bpf.Task {
	return bpf.Task{TID: n, TGID: n, UID: n % 1000, Comm: comm}
}

func TestRing(t *testing.T) {
	const ms = time.Millisecond
	asks := func(n uint32, name string, load uint64, via bpf.Via) *bpf.Asking {
		return &bpf.Asking{Task: ringTask(n, "asks\x1b"), Name: name, For: load, Via: via, Helper: n + 1}
	}
	taken := &bpf.Taken{
		New: []bpf.Ended{
			{Load: 1, Begin: 10 * ms, End: 20 * ms, By: ringTask(4000001, "modprobe"), Module: "by_hand", Told: true},
			// For a load that goes on; and the same, which another has asked for and that ends later.
			{Load: 2, Request: 20, Begin: 30 * ms, End: 40 * ms, By: ringTask(4000011, "modprobe"), Module: "came", Told: true, Asked: asks(4000010, "alias-of-came", 9, bpf.ViaKthread)},
			{Request: 30, Begin: 50 * ms, End: 60 * ms, Asked: asks(4000020, "net-pf-3\n8", 3, bpf.ViaTask), Ret: 256, Told: true},
			{Load: 3, Begin: 45 * ms, End: 70 * ms, By: ringTask(4000030, "modprobe"), Module: "outer", Ret: -19, Told: true},
			// Its requester was killed: the request was over before the load.
			{Request: 40, Begin: 71 * ms, End: 72 * ms, Asked: asks(4001007, "killed", 0, bpf.ViaNone), Ret: -512, Told: true},
			{Load: 4, Request: 40, Begin: 73 * ms, End: 80 * ms, By: ringTask(4001008, "modprobe"), Module: "late", Ret: -1, Told: true},
			{Load: 5, Request: 41, Begin: 73 * ms, End: 81 * ms, By: ringTask(4001009, "modprobe"), Told: true, Ret: -8},
		},
		InFlight: []bpf.Event{
			{Kind: bpf.LoadBegin, ID: 9, At: 25 * ms, TID: 4000040, TGID: 4000040, Comm: "hangs"},
			{Kind: bpf.Init, ID: 9, At: 26 * ms, TID: 4000040, TGID: 4000040, Name: "hangs"},
			{Kind: bpf.LoadBegin, ID: 3, At: 45 * ms, TID: 4000030, TGID: 4000030}, // which has ended meanwhile
			{Kind: bpf.Request, ID: 50, Peer: 9, At: 27 * ms, TID: 4000040, TGID: 4000040, Comm: "hangs", Name: "goes-on", How: uint32(bpf.ViaTask)},
			{Kind: bpf.Request, ID: 30, Peer: 3, At: 50 * ms, TID: 4000020, Name: "net-pf-3\n8"}, // the same
		},
	}
	r := NewRing(Start{Time: time.Unix(1e9, 0), Release: "6.12", Source: "probe"}, nil)
	tl, ended, open := r.Take(taken, Now{Boot: 100 * ms})
	var got []string
	uid := uint32(7)
	byUser := 0
	for _, e := range append(ended, open...) {
		j, err := e.JSON(tl)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := schema.Check("log", bytes.NewReader(j)); err != nil {
			t.Error(err)
		}
		text := e.Text(tl)
		if strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("not escaped: %q", text)
		}
		got = append(got, strings.TrimPrefix(text, "2001-09-09T01:46:40."))
		if (&Filter{UID: &uid}).Wants(tl, e) {
			byUser++
		}
	}
	want := []string{
		`020Z load by_hand: live in 10.000 ms, by modprobe[4000001] (uid 1)`,
		`040Z load came: live in 10.000 ms, by modprobe[4000011] (uid 11); asks\x1b[4000010] (uid 10) asked for alias-of-came for the load of hangs (kthread) by hangs[4000040]`,
		`060Z request net-pf-3\x0a8: nothing was loaded, the helper exits with 1 in 10.000 ms, by asks\x1b[4000020] (uid 20) for the load of outer (task) by modprobe[4000030] (uid 30)`,
		`070Z load outer: ENODEV in 25.000 ms, by modprobe[4000030] (uid 30)`,
		`072Z request killed: late EPERM in 1.000 ms, by asks\x1b[4001007] (uid 7)`,
		`080Z load late: EPERM in 7.000 ms, by modprobe[4001008] (uid 8); asks\x1b[4001007] (uid 7) asked for killed`,
		`081Z load (unknown): ENOEXEC in 8.000 ms, by modprobe[4001009] (uid 9)`,
		`100Z load hangs: not over in 75.000 ms, by hangs[4000040]`,
		`100Z request goes-on: not over in 73.000 ms, by hangs[4000040] for the load of hangs (task)`,
	}
	for i := range max(len(want), len(got)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if byUser != 1 {
		t.Errorf("%d of user 7", byUser)
	}
	// The next time the load that went on is over, and its request has brought nothing.
	_, ended, open = r.Take(&bpf.Taken{New: []bpf.Ended{
		{Load: 9, Begin: 25 * ms, End: 110 * ms, By: ringTask(4000040, "hangs"), Module: "hangs", Told: true},
		{Request: 51, Begin: 105 * ms, End: 111 * ms, Asked: asks(4000050, "after", 9, bpf.ViaWork)},
	}}, Now{Boot: 120 * ms})
	if len(ended) != 2 || len(open) != 0 || ended[1].Request.Load == nil || ended[1].Request.Load.Module != "hangs" {
		t.Errorf("%d ended, %d go on: %+v", len(ended), len(open), ended)
	}
}

// TestWas: of a process that is there the rest is told, of another with its number nothing.
func TestWas(t *testing.T) {
	tasks, err := OpenTasks()
	if err != nil {
		t.Skip(err)
	}
	defer tasks.Close()
	self := bpf.Task{TID: uint32(os.Getpid()), TGID: uint32(os.Getpid()), UID: 12345}
	if w := tasks.Was(self, bpf.Now()); w.UID != 12345 || len(w.Ancestors) == 0 || w.Ancestors[0].PID != uint32(os.Getppid()) {
		t.Errorf("%+v", w)
	}
	if w := tasks.Was(self, 0); w.UID != 12345 || len(w.Ancestors) != 0 || w.Cgroup != "" {
		t.Errorf("before it began: %+v", w)
	}
}

func TestRingBounded(t *testing.T) {
	r := NewRing(Start{}, nil)
	for n := range uint64(3 * mostTold) {
		r.Take(&bpf.Taken{New: []bpf.Ended{{Load: n + 1, Request: n + 1, Asked: &bpf.Asking{Name: fmt.Sprint(n)}}}}, Now{})
	}
	if len(r.loads) > mostTold+1 || len(r.requests) > mostTold+1 {
		t.Errorf("%d loads, %d requests are kept", len(r.loads), len(r.requests))
	}
}
