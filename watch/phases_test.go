// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"os"
	"testing"

	"safeload/bpf"
)

// fakePhases hands out what it is sent, until it is stopped.
type fakePhases struct {
	sent    chan bpf.Phase
	stopped chan struct{}
	closed  bool
}

func (f *fakePhases) Kinds() []string { return bpf.PhaseKinds[:2] }
func (f *fakePhases) Lost() uint64    { return 3 }
func (f *fakePhases) Stop()           { close(f.stopped) }
func (f *fakePhases) Close()          { f.closed = true }
func (f *fakePhases) Read() (bpf.Phase, error) {
	select {
	case p := <-f.sent:
		return p, nil
	case <-f.stopped:
		return bpf.Phase{}, os.ErrClosed
	}
}

func TestPhases(t *testing.T) {
	f := &fakePhases{sent: make(chan bpf.Phase), stopped: make(chan struct{})}
	p := collect(f)
	for tid := range uint32(3) {
		f.sent <- bpf.Phase{TID: tid}
	}
	lost := p.Close() // then all that was sent is there
	if got := p.Take(); len(got) != 3 || got[2].TID != 2 || lost != 3 || !f.closed {
		t.Errorf("%v, %d lost, closed %v", got, lost, f.closed)
	}
	if got := p.Take(); len(got) != 0 {
		t.Errorf("again %v", got)
	}
	var none *Phases
	if none.Take() != nil || none.Kinds() != nil || none.Close() != 0 {
		t.Error("none tells something")
	}
}

// TestPhasesBounded: a watch that sees no event does not keep them without a bound.
func TestPhasesBounded(t *testing.T) {
	f := &fakePhases{sent: make(chan bpf.Phase), stopped: make(chan struct{})}
	p := collect(f)
	for range mostPhases + 5 {
		f.sent <- bpf.Phase{}
	}
	if lost := p.Close(); lost != 3+5 || len(p.Take()) != mostPhases {
		t.Errorf("%d lost", lost)
	}
}
