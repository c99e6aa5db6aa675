// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"safeload/internal/clock"
	"safeload/internal/observe"
	"safeload/internal/registry"
)

// Times between first looks.
const (
	// firstShare: after a first look there is none for as long as it took, times
	// the number of those who wait, by this. Of two, the second looks at once; of
	// fifty, all together take about an eighth of one processor.
	firstShare = 8
	// firstLookMost is the longest that a first look is put off.
	firstLookMost = 500 * time.Millisecond
	// lookingMost is that while another looks: each of fifty that looked at the
	// same time would take fifty times as long.
	lookingMost = 2 * time.Second
)

// holdOff tells whether the first look had better wait, and whether it need not
// be taken: another has seen, since we are here, that all who asked are
// strangers.
func (c *contest) holdOff() (hold, strangers bool) {
	if !c.alone() {
		return false, false
	}
	if c.first.IsZero() {
		c.first = c.now()
		c.boot = registry.BootID()
	}
	l, ok := c.g.reg.LastLook()
	now := c.g.clock.Boot()
	if !ok || l.Ended > now || l.Boot != c.boot {
		l = registry.Look{}
	}
	if start := c.g.self.Start; l.Strangers && start != 0 && l.Began > int64(start+1)*clock.Tick {
		return false, true
	}
	if c.last != nil {
		return false, false // the next ones come at their own distance
	}
	if c.since(c.first) < firstLookMost && now < l.Ended+(l.Ended-l.Began)*l.Waiting/firstShare {
		return true, false
	}
	if c.looking.IsZero() && !c.g.reg.ClaimLook() && c.since(c.first) < lookingMost {
		return true, false // another looks just now
	}
	c.looking = c.now()
	return false, false
}

// alone: a helper of the kernel that has nothing to do with an invocation of
// ours above it. What is seen of all who ask for helpers holds for it.
func (c *contest) alone() bool {
	if c.helper == 0 {
		c.helper = 1
		if s, err := c.proc.Outline(c.g.self.PID, c.g.self.PID); err == nil && c.g.self.Parent == "" && !c.proc.Nested() {
			if p, err := c.proc.Outline(s.PPID, s.PPID); err == nil && p.Worker() {
				c.helper = 2
			}
		}
	}
	return c.helper == 2
}

// tellLook leaves what a look saw to those who have not looked yet.
func (c *contest) tellLook(s *observe.Waits, began int64, waiting int) {
	if waiting > 1 && c.boot != "" && c.g.reg.Published() {
		l := registry.Look{Began: began, Ended: c.g.clock.Boot(), Strangers: s.AllAskedByStrangers(), Waiting: int64(waiting), Boot: c.boot}
		c.g.reg.RecordLook(l)
	}
	c.looking = time.Time{}
	c.g.reg.ReleaseLook()
}
