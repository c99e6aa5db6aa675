// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
)

// heldProcess is a process that a test ends.
type heldProcess struct{ ended, closed bool }

func (p *heldProcess) Ended() bool   { return p.ended }
func (p *heldProcess) Where() string { return "nfs_wait" }
func (p *heldProcess) Close()        { p.closed = true }

// Who was sent SIGKILL and stays is looked at again: what is left is told once, and
// no second signal is sent, whoever is found anew meanwhile.
func TestKilledStays(t *testing.T) {
	lock := live.Finding{Finding: graph.Finding{Module: "m", Kind: graph.Lock, Certainty: graph.Certain, Asker: 100}, Comm: "nft", Sent: bpf.Unsent}
	for name, c := range map[string]struct {
		ends  time.Duration // when it does, 0 never
		waits bool          // the load, once the signal was sent
		told  bool
	}{
		"ends at once":           {ends: time.Millisecond, waits: false},
		"ends late":              {ends: 7 * time.Second, waits: true},
		"stays":                  {waits: true, told: true},
		"has let go, and stays":  {waits: false},
		"is told, and then ends": {ends: 30 * time.Second, waits: true, told: true},
	} {
		t.Run(name, func(t *testing.T) {
			p, source, sent := &heldProcess{}, &fakeSource{waits: true}, 0
			b := breaker{signal: unix.SIGKILL, source: source, send: func(int, syscall.Signal, func() bool) error { sent++; return nil },
				hold: func(int) (holder, error) { return p, nil }}
			begin := time.Unix(1000, 0)
			first := lock
			if err := b.free(&first, begin); err != nil || first.Sent != int32(unix.SIGKILL) {
				t.Fatalf("sent %d, %v", first.Sent, err)
			}
			source.waits = c.waits
			var left []string
			for at := begin; at.Before(begin.Add(time.Minute)); {
				next, ok := b.next()
				if !ok {
					break
				}
				if !next.After(at) && at != begin {
					t.Fatalf("due at %v again and again", next.Sub(begin))
				}
				at = next
				p.ended = c.ends > 0 && !at.Before(begin.Add(c.ends))
				left = append(left, b.lookAgain(at)...)
				again := lock
				if err := b.free(&again, at); !p.ended && (err != nil || again.Sent != bpf.Unsent) {
					t.Errorf("found again after %v: sent %d, %v", at.Sub(begin), again.Sent, err)
				}
				if p.ended {
					break
				}
			}
			if c.ends == 0 && sent != 1 {
				t.Errorf("%d signals", sent)
			}
			if c.told != (len(left) == 1) {
				t.Errorf("told %q", left)
			}
			if c.told && !strings.Contains(left[0], "nft[100] was sent SIGKILL 10s ago and is still in the kernel in nfs_wait") {
				t.Errorf("told %q", left)
			}
			if c.ends > 0 && !p.closed {
				t.Error("the process is held for ever")
			}
		})
	}
}

// A process is held by a descriptor, which says when all of it has ended.
func TestHoldProcess(t *testing.T) {
	c := exec.Command("sleep", "60")
	if err := c.Start(); err != nil {
		t.Skipf("no sleep to hold: %v", err)
	}
	h, err := holdProcess(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.Ended() {
		t.Error("it has ended before it was killed")
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	if !h.Ended() {
		t.Error("it has not ended")
	}
	if w := h.Where(); w != "" {
		t.Errorf("it waits in %q", w)
	}
}
