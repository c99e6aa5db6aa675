// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/guard/graph"
	"safeload/internal/clock"
	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// newContest is of a helper that waits for the load which waits for it, with
// the registry in dir of the system's directory.
func newContest(t *testing.T, dir string) (*system, *contest) {
	t.Helper()
	s := newSystem(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
	p, sys := s.Open()
	g := New(Options{Dir: filepath.Join(s.Dir, dir)})
	g.self = registry.Identity{Known: true, PID: 200, Start: 510}
	g.own = s.Entries[0]
	c := &contest{g: g, l: Load{Module: "a"}, proc: p, sys: sys}
	t.Cleanup(func() {
		c.close()
		g.Close()
	})
	return s, c
}

// TestWithoutRegistry: where no entry can be written, as before /init, ours is
// the same at each look, or nothing would ever have stood still.
func TestWithoutRegistry(t *testing.T) {
	_, c := newContest(t, "nowhere/safeload")
	for range 2 {
		if v, _, _ := c.look(); v != verdictWait {
			t.Fatalf("verdict %d before the second look at a distance, want Wait", v)
		}
	}
	if c.proof.picture == "" {
		t.Fatal("two equal looks, but nothing is held for proven")
	}
	c.proof.at = c.proof.at.Add(-time.Minute)
	if v, r, _ := c.look(); v != verdictRefuse || r.Suspected {
		t.Fatalf("verdict %d, %v, want Refuse", v, r)
	}
}

// TestOneAtATime: of two who would refuse one circle, the second looks again
// after the first is done, but does not wait for ever.
func TestOneAtATime(t *testing.T) {
	s, c := newContest(t, "safeload")
	reg := &c.g.reg
	judge := func() verdict {
		v, r, _ := c.look()
		if v != verdictRefuse {
			t.Fatalf("verdict %d, want Refuse", v)
		}
		v, _ = c.confirm(r)
		return v
	}
	for range 2 {
		_, _, _ = c.look()
	}
	c.proof.at = c.proof.at.Add(-time.Minute)

	other := registry.New(c.g.o.Dir)
	if !other.Lock() || !other.Locked() {
		t.Fatal("the directory cannot be held")
	}
	if v := judge(); v != verdictWait {
		t.Errorf("while another refuses: verdict %d, want Wait", v)
	}
	c.heldAt = c.heldAt.Add(-holdMost)
	if v := judge(); v != verdictRefuse {
		t.Errorf("the other stands still: verdict %d, want Refuse", v)
	}
	other.Close()
	if v := judge(); v != verdictRefuse || !reg.Locked() {
		t.Errorf("the other is done: verdict %d, held %v, want Refuse, true", v, reg.Locked())
	}

	// What the other refused is no circle any more.
	reg.Unlock()
	if err := os.RemoveAll(filepath.Join(s.Dir, "proc/100")); err != nil {
		t.Fatal(err)
	}
	s.AddLoad(100, 50, 500, "a", "msleep")
	v, _ := c.confirm(&Refused{})
	if v != verdictWait || reg.Locked() {
		t.Errorf("the circle is gone: verdict %d, held %v, want Wait, false", v, reg.Locked())
	}
}

// ran says how long ago a task last ran, by the scheduler's clock.
func (s *system) ran(pid, tid int, ago time.Duration) {
	at := time.Hour - ago
	text := fmt.Sprintf("x (%d, #threads: 1)\nse.exec_start : %d.%06d\n", tid, at/time.Millisecond, at%time.Millisecond)
	if pid == tid {
		s.WriteTask(pid, "sched", text)
		return
	}
	s.Write(fmt.Sprintf("proc/%d/task/%d/sched", pid, tid), text)
}

// TestStood: a standstill began when the last of those in it went to sleep, but
// only what was so since we were asked for counts.
func TestStood(t *testing.T) {
	for name, tt := range map[string]struct {
		age         time.Duration
		load, asker time.Duration
		want        time.Duration
		make        func(s *system)
	}{
		"the asker last":     {5 * time.Second, 4 * time.Second, 3 * time.Second, 3 * time.Second, nil},
		"the load last":      {5 * time.Second, 2 * time.Second, 3 * time.Second, 2 * time.Second, nil},
		"we are younger":     {time.Second, 4 * time.Second, 3 * time.Second, time.Second, nil},
		"one of ours polls":  {5 * time.Second, 4 * time.Second, 3 * time.Second, 0, func(s *system) { s.AddWaiter(100, 50, 1, "b") }},
		"the kernel is mute": {5 * time.Second, 4 * time.Second, 3 * time.Second, 0, func(s *system) { s.WriteTask(120, "sched", "\n") }},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // the clock is that of our own thread
			defer runtime.UnlockOSThread()
			s := newSystem(t)
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a", "a_init")
			s.AddKthread(120, 0, observetest.Request, 505)
			s.SetComm(120, "a")
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
			s.ran(unix.Getpid(), unix.Gettid(), 0)
			s.ran(100, 100, tt.load)
			s.ran(120, 120, tt.asker)
			if tt.make != nil {
				tt.make(s)
			}
			p, err := proc.OpenDir(filepath.Join(s.Dir, "proc"))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			now := (&observe.Observer{Proc: p}).Look(s.Entries, true)
			start := uint64((now.Now - int64(tt.age)) / clock.Tick)
			got := now.StoodStill([]graph.ID{100, 120, 200}, registry.Identity{PID: 200, Start: start})
			if d := got - tt.want; d < 0 || d > 2*clock.Tick {
				t.Errorf("stood for %v, want %v", got, tt.want)
			}
			if got := now.StoodStill([]graph.ID{100, 120, 200}, registry.Identity{PID: 200}); got != 0 {
				t.Errorf("without our own start: %v, want 0", got)
			}
		})
	}
}

// TestHead: what stood still before we looked shortens the patience, and one
// move takes all of that away.
func TestHead(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, moves := range []bool{false, true} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", "a_init")
		s.AddKthread(120, 0, observetest.Request, 505)
		s.SetComm(120, "a")
		s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
		s.ran(unix.Getpid(), unix.Gettid(), 0)
		s.ran(100, 100, time.Minute)
		s.ran(120, 120, time.Minute)
		p, sys := s.Open()
		g := New(Options{Dir: filepath.Join(s.Dir, "nowhere", "safeload"), Patience: 10 * time.Second})
		g.self = registry.Identity{Known: true, PID: 200, Start: uint64((clock.Boot() - int64(30*time.Second)) / clock.Tick)}
		g.own = s.Entries[0]
		c := &contest{g: g, l: Load{Module: "a"}, proc: p, sys: sys}
		if v, _, _ := c.look(); v != verdictWait || c.suspect.picture == "" || c.left() != confirmAfter {
			t.Fatalf("first look: verdict %d, suspect %q, %v left; want Wait and %v", v, c.suspect.picture, c.left(), confirmAfter)
		}
		if moves {
			s.WriteTask(120, "status", "voluntary_ctxt_switches:\t6\nnonvoluntary_ctxt_switches:\t1\n")
		}
		v, r, _ := c.look()
		switch {
		case !moves && (v != verdictRefuse || !r.Suspected):
			t.Errorf("second look: verdict %d, %v, want Refuse on suspicion", v, r)
		case moves && (v != verdictWait || c.left() != 10*time.Second):
			t.Errorf("after a move: verdict %d, %v left, want Wait and 10 s", v, c.left())
		}
		c.close()
	}
}

// left is how long the suspicion must have held, from when it was first seen.
func (c *contest) left() time.Duration {
	end, _ := c.suspect.over(c.needs)
	return end.Sub(c.suspect.at)
}
