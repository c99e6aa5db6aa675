// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"safeload/internal/observe/observetest"
	"safeload/internal/registry"
)

// turned is a clock that stands still but for the sleeps of who reads it.
type turned struct {
	t      *testing.T
	passed time.Duration
	sleeps int
	events map[time.Duration]func() // what happens at a time
}

var midnight = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *turned) Now() time.Time     { return midnight.Add(c.passed) }
func (c *turned) Boot() int64        { return int64(time.Hour + c.passed) }
func (c *turned) CPU() time.Duration { return 0 }

func (c *turned) Sleep(d time.Duration) {
	if d <= 0 {
		c.t.Fatalf("after %v: a sleep of %v", c.passed, d)
	}
	c.sleeps++
	if c.passed += d; c.passed > 24*time.Hour {
		c.t.Fatal("a day has passed, and nothing is decided")
	}
	for at, f := range c.events {
		if at <= c.passed {
			delete(c.events, at)
			f()
		}
	}
}

// turn gives a contest such a clock.
func turn(t *testing.T, c *contest) *turned {
	k := &turned{t: t, events: make(map[time.Duration]func())}
	c.g.clock = k
	return k
}

// newSuspicion is a contest over a load whose init may be asleep for the kernel
// thread that asked for us.
func newSuspicion(t *testing.T, patience time.Duration) (*system, *contest, *turned) {
	t.Helper()
	s := newSystem(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", "a_init")
	s.AddKthread(120, 0, observetest.Request, 505)
	s.SetComm(120, "a")
	s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
	p, sys := s.Open()
	g := New(Options{Dir: filepath.Join(s.Dir, "nowhere", "safeload"), Patience: patience})
	g.self = registry.Identity{Known: true, PID: 200, Start: 510}
	g.own = s.Entries[0]
	c := &contest{g: g, l: Load{Module: "a"}, proc: p, sys: sys}
	t.Cleanup(func() {
		c.close()
		g.Close()
	})
	return s, c, turn(t, c)
}

// TestProvenInTime: a proof takes the time between two looks, and no more.
func TestProvenInTime(t *testing.T) {
	_, c := newContest(t, "nowhere/safeload")
	k := turn(t, c)
	v, r := c.wait()
	if v != verdictRefuse || r.Suspected {
		t.Fatalf("verdict %d, %v, want Refuse", v, r)
	}
	if k.passed < confirmAfter || k.passed > 3*confirmAfter {
		t.Errorf("after %v, want a little more than %v", k.passed, confirmAfter)
	}
}

// TestPatienceInTime: a suspicion is refused when the patience is over, and no
// moment before.
func TestPatienceInTime(t *testing.T) {
	for _, patience := range []time.Duration{time.Second, 10 * time.Second, 5 * time.Minute} {
		_, c, k := newSuspicion(t, patience)
		v, r := c.wait()
		if v != verdictRefuse || !r.Suspected {
			t.Fatalf("verdict %d, %v, want Refuse on suspicion", v, r)
		}
		if k.passed < patience || k.passed > patience+time.Second {
			t.Errorf("after %v, want %v", k.passed, patience)
		}
	}
}

// TestMoveInTime: one move, a moment before the patience is over, and it begins
// anew.
func TestMoveInTime(t *testing.T) {
	const patience = 10 * time.Second
	s, c, k := newSuspicion(t, patience)
	moved := patience - time.Second
	k.events[moved] = func() {
		s.WriteTask(120, "status", "voluntary_ctxt_switches:\t6\nnonvoluntary_ctxt_switches:\t1\n")
	}
	v, r := c.wait()
	if v != verdictRefuse || !r.Suspected || k.passed < moved+patience || k.passed > moved+patience+lookMost+time.Second {
		t.Errorf("verdict %d, %v, after %v, want Refuse after %v", v, r, k.passed, moved+patience)
	}
}

// TestNoPatience: who refuses nothing on suspicion waits for as long as the load
// takes, and is done a moment after it.
func TestNoPatience(t *testing.T) {
	const takes = 20 * time.Minute
	s, c, k := newSuspicion(t, -1)
	k.events[takes] = func() { s.Write("sys/module/a/initstate", "live\n") }
	v, _ := c.wait()
	if v != verdictDone || k.passed < takes || k.passed > takes+2*pollMost {
		t.Errorf("verdict %d after %v, want Done after %v", v, k.passed, takes)
	}
	if most := int(takes/pollMost) + 100; k.sleeps > most {
		t.Errorf("%d polls, want %d at most", k.sleeps, most)
	}
}

// TestGoneInTime: the load that is waited for ends without the module.
func TestGoneInTime(t *testing.T) {
	const after = 2 * time.Second
	for name, tt := range map[string]struct {
		state string // of the module; empty: it is gone
		want  verdict
	}{
		"it is gone":                       {"", verdictAgain},
		"it goes, and that takes any time": {"going\n", verdictGo},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, k := newSuspicion(t, -1)
			k.events[after] = func() {
				if tt.state != "" {
					s.Write("sys/module/a/initstate", tt.state)
				} else if err := os.RemoveAll(filepath.Join(s.Dir, "sys/module/a")); err != nil {
					t.Fatal(err)
				}
			}
			v, _ := c.wait()
			if v != tt.want || k.passed < after || k.passed > after+resultWait+2*pollMost {
				t.Errorf("verdict %d after %v, want %d after %v", v, k.passed, tt.want, after)
			}
			if tt.want == verdictGo && k.passed < after+resultWait {
				t.Errorf("after %v: it is waited for %v", k.passed, resultWait)
			}
		})
	}
}

// TestHeldInTime: another who is about to refuse has holdMost for it.
func TestHeldInTime(t *testing.T) {
	_, c := newContest(t, "safeload")
	k := turn(t, c)
	other := registry.New(c.g.o.Dir)
	defer other.Close()
	if !other.Lock() || !other.Locked() {
		t.Fatal("the directory cannot be held")
	}
	v, r := c.wait()
	if v != verdictRefuse || k.passed < holdMost || k.passed > holdMost+4*confirmAfter {
		t.Errorf("verdict %d, %v, after %v, want Refuse after %v", v, r, k.passed, holdMost)
	}
	// And refuses at once when the other lets go.
	_, c = newContest(t, "safeload")
	k = turn(t, c)
	third := registry.New(c.g.o.Dir)
	defer third.Close()
	third.Lock()
	const lets = time.Second
	k.events[lets] = third.Close
	if v, r := c.wait(); v != verdictRefuse || k.passed < lets || k.passed > lets+4*confirmAfter {
		t.Errorf("verdict %d, %v, after %v, want Refuse after %v", v, r, k.passed, lets)
	}
}
