// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"
	"time"

	"safeload/bpf/live"
)

func TestStandstill(t *testing.T) {
	start := time.Now()
	l := &live.Load{ID: 7}
	wakes := ""
	s := standing{wakes: func(*live.Load) string { return wakes }}
	for _, c := range []struct {
		after  time.Duration
		asleep bool
		wakes  string
		still  bool
	}{
		{0, true, "10", false},
		{900 * time.Millisecond, true, "10", false},
		{1000 * time.Millisecond, true, "10", true},
		{1100 * time.Millisecond, true, "11", false}, // it woke, if only for a moment
		{2000 * time.Millisecond, true, "11", false},
		{2050 * time.Millisecond, false, "11", false}, // asleep, but in no completion
		{2200 * time.Millisecond, true, "11", false},
		{3100 * time.Millisecond, true, "", false}, // runs
		{3200 * time.Millisecond, true, "11", false},
		{4200 * time.Millisecond, true, "11", true},
	} {
		wakes = c.wakes
		got := s.look(start.Add(c.after), []*live.Load{l}, func(uint64) bool { return c.asleep })
		if (len(got) == 1) != c.still {
			t.Errorf("after %v: still %v, want %v", c.after, got, c.still)
		}
	}
}
