// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/guard/survey"
)

// lockOf is a survey in which the load of m waits for a lock of process 100.
func lockOf(kernel bool) *survey.Survey {
	return &survey.Survey{
		Tasks: []survey.Seen{{PID: 100, TID: 100, Comm: "nft", Role: survey.RoleRequest}, {PID: 200, TID: 200, Comm: "modprobe", Role: survey.RoleLoad}},
		Findings: []graph.Finding{
			{Module: "other", Waiter: 300, Certainty: graph.Certain},
			{Module: "m", Kind: graph.Lock, Asker: 100, Kernel: kernel, Certainty: graph.Certain, Chain: graph.Chain{
				{PID: 200, TID: 200, Comm: "modprobe", Module: "m", Certainty: graph.Certain},
				{PID: 100, TID: 100, Comm: "nft", Certainty: graph.Certain}}},
		},
	}
}

// A load that takes long while somebody waits for a helper is looked at, once, later
// again, and told of once.
func TestHeld(t *testing.T) {
	woken := make(chan bool, 1)
	h := newHeld(func() { woken <- true })
	surveys, sv := 0, lockOf(false)
	h.examine = func() (*survey.Survey, error) { surveys++; return sv, nil }
	boot := 10 * time.Second
	h.boot = func() int64 { return int64(boot) }
	now := time.Unix(1000, 0)
	look := func() []live.Finding { return h.look(now, 10*time.Second, true) }
	pass := func(d time.Duration) { now, boot = now.Add(d), boot+d }

	if look(); surveys != 0 || h.looking {
		t.Fatal("it is looked at before it has taken long")
	}
	if due, ok := h.due(); !ok || due != now.Add(heldAfter) {
		t.Errorf("due %v, %v", due, ok)
	}
	pass(heldAfter)
	if look(); !h.looking {
		t.Fatal("it is not looked at")
	}
	if _, ok := h.due(); ok {
		t.Error("a second look is due while the first lasts")
	}
	<-woken
	found := look()
	if len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	if f := found[0]; f.Module != "m" || f.Victim() != 100 || f.Comm != "nft" || f.Kind != graph.Lock || f.Certainty != graph.Certain || len(f.Chain) != 2 {
		t.Errorf("%+v", f)
	}
	if !h.waits(&found[0]) {
		t.Error("who asked is taken to wait no longer")
	}
	pass(10 * time.Second)
	look()
	<-woken
	if again := look(); len(again) != 0 {
		t.Errorf("told again: %+v", again)
	}
	sv = &survey.Survey{}
	if h.waits(&found[0]) {
		t.Error("who asked is taken to wait still")
	}
	if h.look(now, 0, false); !h.next.IsZero() {
		t.Error("a look is due though nothing is being loaded")
	}
}

// Who asked is ended by SIGKILL alone, if he is no kernel thread, and only where it is proven.
func TestFreeAsker(t *testing.T) {
	lock := live.Finding{Finding: graph.Finding{Kind: graph.Lock, Certainty: graph.Certain, Asker: 100}, Sent: bpf.Unsent}
	for name, c := range map[string]struct {
		change func(f *live.Finding)
		signal syscall.Signal
		sent   bool
		told   bool // why not
	}{
		"KILL":                {func(*live.Finding) {}, unix.SIGKILL, true, false},
		"TERM":                {func(*live.Finding) {}, unix.SIGTERM, false, true},
		"no --break":          {func(*live.Finding) {}, 0, false, false},
		"a kernel thread":     {func(f *live.Finding) { f.Kernel = true }, unix.SIGKILL, false, false},
		"likely":              {func(f *live.Finding) { f.Certainty = graph.Likely }, unix.SIGKILL, false, false},
		"an async function":   {func(f *live.Finding) { f.Kind = graph.Async }, unix.SIGKILL, false, false},
		"who asked, not seen": {func(f *live.Finding) { f.Asker = 0 }, unix.SIGKILL, false, false},
	} {
		f := lock
		c.change(&f)
		sent := false
		b := breaker{signal: c.signal, source: &fakeSource{}, send: func(pid int, sig syscall.Signal, _ func() bool) error {
			sent = pid == 100 && sig == unix.SIGKILL
			return nil
		}, hold: func(int) (holder, error) { return &heldProcess{}, nil }}
		if err := b.free(&f, time.Time{}); sent != c.sent || (err != nil) != c.told {
			t.Errorf("%s: sent %v, %v", name, sent, err)
		}
	}
}

// A circle that is only likely may be none: the watch does not tell it.
func TestHeldLikely(t *testing.T) {
	h := newHeld(func() {})
	for _, c := range []struct {
		certainty graph.Certainty
		told      int
	}{{graph.Likely, 0}, {graph.Certain, 1}} {
		h.examine = func() (*survey.Survey, error) {
			return &survey.Survey{Findings: []graph.Finding{{Module: "m", Kind: graph.Queue, Certainty: c.certainty}}}, nil
		}
		if found := h.circles(); len(found) != c.told {
			t.Errorf("%v: %+v", c.certainty, found)
		}
	}
}

// closable is a stream of which nothing but its end is asked.
type closable struct{ stream }

func (closable) Close() error { return nil }

// What a look reads by stays open until the look has ended: its descriptors may be others' by then.
func TestCloseInLook(t *testing.T) {
	h := newHeld(func() {})
	closed := make(chan struct{})
	h.close = func() { close(closed) }
	early := false
	h.examine = func() (*survey.Survey, error) {
		select {
		case <-closed:
			early = true
		case <-time.After(200 * time.Millisecond): // a Close that does not wait comes before
		}
		return &survey.Survey{}, nil
	}
	h.boot = func() int64 { return int64(time.Minute) }
	h.look(time.Unix(1000, 0), 0, true)
	if !h.looking {
		t.Fatal("nobody looks")
	}
	if err := (&events{stream: closable{}, held: h}).Close(); err != nil {
		t.Error(err)
	}
	if <-closed; early {
		t.Error("closed while it is read by")
	}
}
