// SPDX-License-Identifier: Apache-2.0

package guard

import "time"

// pace is how often a waiting load reads its module's state, and looks.
type pace struct {
	poll time.Duration // until the state is read again
	gap  time.Duration // between two looks, at least
	next time.Time     // when the next look is due
}

// Times of the wait in user space.
const (
	pollLeast = 2 * time.Millisecond
	pollMost  = 50 * time.Millisecond
	lookMost  = 2 * time.Second

	// Where nobody is seen to load the module: all who wait for it may spend one
	// part in so many of a processor on looking.
	vacantPoll  = 250 * time.Millisecond
	vacantMost  = 32 * time.Second
	vacantShare = 16
)

// All who wait may spend, together, one part in so many of a processor on
// looking.
const lookShare = 4

// rest is how long one of so many waits before another look, when the last took
// so much of a processor's time: at least gap.
func rest(gap, cost time.Duration, lookers int) time.Duration {
	if share := lookShare * cost * time.Duration(lookers); share > gap {
		return share
	}
	return gap
}
