// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"path/filepath"
	"testing"
	"time"

	"safeload/internal/proc"
)

// TestWithoutRegistry: where no entry can be written, as before /init, ours is
// the same at each look, or nothing would ever have stood still.
func TestWithoutRegistry(t *testing.T) {
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
	g := New(Options{Dir: filepath.Join(s.dir, "nowhere", "safeload")})
	g.self = identity{known: true, pid: 200, start: 510}
	g.own = s.entries[0]
	c := &contest{g: g, l: Load{Module: "a"}, proc: p, sys: sys}
	defer c.close()
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
