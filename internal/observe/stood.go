// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"time"

	"safeload/guard/graph"
	"safeload/internal/clock"
	"safeload/internal/registry"
)

// StoodStill is for how long none of these tasks but us has run, as far back as we
// go: what asked for us has been waiting since before. 0 where the kernel does
// not tell (no CONFIG_SCHED_DEBUG).
func (s *Waits) StoodStill(ids []graph.ID, self registry.Identity) time.Duration {
	least := time.Duration(s.Now - int64(self.Start)*clock.Tick)
	if self.Start == 0 || least < 0 {
		return 0
	}
	for _, id := range ids {
		t := s.Tasks[int(id)]
		switch {
		case int(id) == self.PID:
		case t == nil || s.Entries[int(id)] != nil && s.Entries[int(id)].State == registry.StateWait:
			return 0 // polls: since when it stands still is not known
		default:
			d, _ := s.Asleep(t)
			least = min(least, d)
		}
	}
	return least
}
