// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"safeload/internal/proc"
)

// newContest is of a helper that waits for the load which waits for it, with
// the registry in dir of the system's directory.
func newContest(t *testing.T, dir string) (*system, *contest) {
	t.Helper()
	s := newSystem(t)
	s.coming("a")
	s.load(100, 50, 500, "a", request)
	s.waits(200, s.helperOf(200), 510, "a")
	p, err := proc.OpenDir(filepath.Join(s.dir, "proc"))
	if err != nil {
		t.Fatal(err)
	}
	sys, err := proc.OpenDir(filepath.Join(s.dir, "sys"))
	if err != nil {
		t.Fatal(err)
	}
	g := New(Options{Dir: filepath.Join(s.dir, dir)})
	g.self = identity{known: true, pid: 200, start: 510}
	g.own = s.entries[0]
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
		if v, _, _ := c.look(); v != Wait {
			t.Fatalf("verdict %d before the second look at a distance, want Wait", v)
		}
	}
	if c.proven == "" {
		t.Fatal("two equal looks, but nothing is held for proven")
	}
	c.provenAt = c.provenAt.Add(-time.Minute)
	if v, r, _ := c.look(); v != Refuse || r.Suspected {
		t.Fatalf("verdict %d, %v, want Refuse", v, r)
	}
}

// TestOneAtATime: of two who would refuse one circle, the second looks again
// after the first is done, but does not wait for ever.
func TestOneAtATime(t *testing.T) {
	s, c := newContest(t, "safeload")
	reg := &c.g.reg
	judge := func() Verdict {
		v, r, _ := c.look()
		if v != Refuse {
			t.Fatalf("verdict %d, want Refuse", v)
		}
		v, _ = c.confirm(r)
		return v
	}
	for range 2 {
		_, _, _ = c.look()
	}
	c.provenAt = c.provenAt.Add(-time.Minute)

	other := registry{dir: c.g.o.Dir, fd: -1}
	if !other.lock() || !other.locked {
		t.Fatal("the directory cannot be held")
	}
	if v := judge(); v != Wait {
		t.Errorf("while another refuses: verdict %d, want Wait", v)
	}
	c.heldAt = c.heldAt.Add(-holdMost)
	if v := judge(); v != Refuse {
		t.Errorf("the other stands still: verdict %d, want Refuse", v)
	}
	other.close()
	if v := judge(); v != Refuse || !reg.locked {
		t.Errorf("the other is done: verdict %d, held %v, want Refuse, true", v, reg.locked)
	}

	// What the other refused is no circle any more.
	reg.unlock()
	if err := os.RemoveAll(filepath.Join(s.dir, "proc/100")); err != nil {
		t.Fatal(err)
	}
	s.load(100, 50, 500, "a", "msleep")
	v, _ := c.confirm(&Refused{})
	if v != Wait || reg.locked {
		t.Errorf("the circle is gone: verdict %d, held %v, want Wait, false", v, reg.locked)
	}
}
