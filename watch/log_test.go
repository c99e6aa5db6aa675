// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"
	"time"

	"safeload/bpf/live"
	"safeload/guard/graph"
)

func TestLimiter(t *testing.T) {
	l := limiter{max: 2, every: time.Minute}
	now := time.Now()
	for i, c := range []struct {
		at      time.Duration
		ok      bool
		dropped int
	}{{0, true, 0}, {0, true, 0}, {0, false, 0}, {59 * time.Second, false, 0}, {time.Minute, true, 2}, {time.Minute, true, 0}} {
		if ok, dropped := l.allow(now.Add(c.at)); ok != c.ok || dropped != c.dropped {
			t.Errorf("call %d: %v, %d dropped; want %v, %d", i, ok, dropped, c.ok, c.dropped)
		}
	}
}

// The line for the kernel's log, with what others may choose in it.
func TestLogLine(t *testing.T) {
	const hostile = "x\nFORGED\x1b[2J\u202e"
	f := live.Finding{Comm: hostile, Sent: 15, Finding: graph.Finding{Certainty: graph.Certain, Module: hostile, Waiter: 101, Chain: []graph.Hop{
		{What: graph.HopLoad, Module: hostile, PID: 100, Comm: "insmod"},
		{What: graph.HopRequest, Request: hostile, TID: 100, Comm: "insmod"},
		{What: graph.HopHelper, PID: 101, Comm: hostile},
		{What: graph.HopWait, Module: "a", PID: 101, Comm: "modprobe"},
	}}}
	const plain = `x\x0aFORGED\x1b[2J\xe2\x80\xae`
	want := "safeload: module " + plain + ": load waits for itself (proven): load " + plain + " by insmod[100] -> request " + plain +
		" by insmod[100] -> helper " + plain + "[101] -> wait of modprobe[101] for a; sent SIGTERM"
	if got := logLine(&f, 0); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = "safeload: 3 findings before this were not logged; " + want[len("safeload: "):]
	if got := logLine(&f, 3); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
