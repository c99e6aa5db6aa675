// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"os/exec"
	"testing"

	"safeload/guard/graph"
	"safeload/internal/proc"
)

// Who is no longer what the report has is let live.
func TestFreeOneSpares(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	p, err := proc.OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	pid := cmd.Process.Pid
	is, err := p.ProcessStat(pid)
	if err != nil {
		t.Fatal(err)
	}
	f := graph.Finding{Module: "m", Waiter: pid, Signal: true}
	for want, start := range map[Outcome]uint64{
		EndedByItself: is.Start - 1, // another process of this pid
		WaitsNoLonger: is.Start,     // which has left the wait since
	} {
		sv := &Survey{Tasks: []Seen{{PID: pid, TID: pid, PPID: is.PPID, Start: start, Role: RoleWait, Module: "m"}}}
		if got := freeOne(sv, Options{}, f); got.Outcome != want {
			t.Errorf("%+v, want outcome %d", got, want)
		}
		if s, err := p.ProcessStat(pid); err != nil || s.Gone() {
			t.Fatalf("it was ended: %v", err)
		}
	}
	f.Ours = true
	if got := freeOne(&Survey{}, Options{}, f); got.Outcome != LeftToSafeload {
		t.Errorf("a safeload that decides itself: %+v", got)
	}
}
