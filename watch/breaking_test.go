// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
)

// A signal must reach only who is still in the wait that it is to end.
func TestSignalProcess(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Skipf("no sleep to signal: %v", err)
	}
	pid := sleep.Process.Pid
	if err := signalProcess(pid, syscall.SIGTERM, func() bool { return false }); err == nil {
		t.Error("one who has left the wait was signalled")
	}
	if err := signalProcess(pid, syscall.SIGTERM, func() bool { return true }); err != nil {
		t.Error(err)
	}
	err := sleep.Wait()
	if ws, ok := sleep.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGTERM {
		t.Errorf("the waiter ended with %v", err)
	}
}

func TestVictims(t *testing.T) {
	for name, tt := range map[string]struct {
		signal  syscall.Signal
		finding live.Finding
		waits   bool
		sent    bool
		failed  bool
	}{
		"proven":                  {syscall.SIGTERM, live.Finding{Finding: graph.Finding{Certainty: graph.Certain}, Sent: bpf.Unsent}, true, true, false},
		"nobody is to be broken":  {0, live.Finding{Finding: graph.Finding{Certainty: graph.Certain}, Sent: bpf.Unsent}, true, false, false},
		"likely":                  {syscall.SIGTERM, live.Finding{Finding: graph.Finding{Certainty: graph.Likely}, Sent: bpf.Unsent}, true, false, false},
		"the probe has":           {syscall.SIGTERM, live.Finding{Finding: graph.Finding{Certainty: graph.Certain}, Sent: int32(syscall.SIGTERM)}, true, false, false},
		"no signal ends the wait": {syscall.SIGTERM, live.Finding{Finding: graph.Finding{Certainty: graph.Certain}, Sent: bpf.Unsent, How: bpf.WaitFileHard}, true, false, false},
		"it has left the wait":    {syscall.SIGTERM, live.Finding{Finding: graph.Finding{Certainty: graph.Certain}, Sent: bpf.Unsent}, false, false, true},
		"another of its circle":   {syscall.SIGTERM, live.Finding{Finding: graph.Finding{Certainty: graph.Certain}, Sent: bpf.Claimed}, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			var sent []syscall.Signal
			b := breaker{signal: tt.signal, source: &fakeSource{waits: tt.waits}, send: func(pid int, sig syscall.Signal, still func() bool) error {
				if !still() {
					return errors.New("gone")
				}
				sent = append(sent, sig)
				return nil
			}}
			was := tt.finding.Sent
			err := b.free(&tt.finding, time.Time{})
			if tt.sent != slices.Equal(sent, []syscall.Signal{tt.signal}) || tt.sent == (tt.finding.Sent == was) || (err != nil) != tt.failed {
				t.Errorf("sent %v, finding says %d, %v", sent, tt.finding.Sent, err)
			}
		})
	}
}
