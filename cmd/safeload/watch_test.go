// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/docs/schema"
	"safeload/guard/graph"
)

func recursion() live.Finding {
	return live.Finding{TID: 101, Comm: "modprobe", How: bpf.WaitFile, Sent: 15, Finding: graph.Finding{Certainty: graph.Certain, Module: "a\x1b[2J", Waiter: 101,
		Chain: []graph.Hop{
			{What: graph.HopLoad, Module: "a\x1b[2J", TID: 100, PID: 100, Comm: "insmod", FD: -1, Certainty: graph.Certain, For: time.Second},
			{What: graph.HopRequest, Request: "x\ny", TID: 100, Comm: "insmod", Via: bpf.ViaKthread.String(), Certainty: graph.Likely},
			{What: graph.HopHelper, TID: 101, PID: 101, Comm: "modprobe", Certainty: graph.Certain},
			{What: graph.HopWait, Module: "a\x1b[2J", TID: 101, PID: 101, Comm: "modprobe", FD: -1, How: bpf.WaitFile.String(), Certainty: graph.Certain},
		}}}
}

func TestFindingText(t *testing.T) {
	var out, stderr bytes.Buffer
	p := newWatchPrinter(watchOptions{}, &out, &stderr)
	f := recursion()
	f.At, f.Read = time.Second, time.Second+1500*time.Microsecond
	p.Finding(&f)
	got := out.String()
	_, got, _ = strings.Cut(got, " ") // the time
	want := `a\x1b[2J waits for itself (proven, seen after 1.5ms)
  load of a\x1b[2J by insmod[100], for 1s
  └─ request for x\x0ay by insmod[100], a kernel thread that its init started (likely), for 0s
     └─ helper modprobe[101], started by the kernel
        └─ modprobe[101] waits for a\x1b[2J (file): the first of this chain
  sent SIGTERM to modprobe[101]
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFindingJSON(t *testing.T) {
	var out, stderr bytes.Buffer
	p := newWatchPrinter(watchOptions{json: true}, &out, &stderr)
	f := recursion()
	f.At, f.Read = time.Second, time.Second+time.Millisecond
	p.Finding(&f)
	if strings.Count(out.String(), "\n") != 1 {
		t.Fatalf("not one line: %q", out.String())
	}
	if _, err := schema.Check("watch", bytes.NewReader(out.Bytes())); err != nil {
		t.Error(err)
	}
	var o struct {
		Schema    int
		Type      string
		Certainty string
		Signal    string
		Seen      int `json:"seen_after_us"`
		Chain     []struct{ What, Via, Certainty string }
	}
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		t.Fatal(err)
	}
	if o.Schema != 1 || o.Type != "finding" || o.Certainty != "proven" || o.Signal != "SIGTERM" || o.Seen != 1000 ||
		len(o.Chain) != 4 || o.Chain[1].Via != "kthread" || o.Chain[1].Certainty != "likely" {
		t.Errorf("got %+v", o)
	}
}

func TestBreakFlag(t *testing.T) {
	for in, want := range map[string]syscall.Signal{"true": syscall.SIGTERM, "TERM": syscall.SIGTERM, "kill": syscall.SIGKILL, "SIGKILL": syscall.SIGKILL, "false": 0} {
		var b breakFlag
		if err := b.Set(in); err != nil || syscall.Signal(b) != want {
			t.Errorf("--break=%s: %v, %v", in, syscall.Signal(b), err)
		}
	}
	var b breakFlag
	if b.Set("HUP") == nil {
		t.Error("--break=HUP was accepted")
	}
}
