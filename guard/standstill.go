// SPDX-License-Identifier: Apache-2.0

package guard

import "time"

// confirmAfter is between the two looks of a proof.
const confirmAfter = 100 * time.Millisecond

// standstill is a picture of tasks that has not changed, and since when.
type standstill struct {
	picture string        // empty: it is not known that they stand still
	at      time.Time     // when it was first seen
	head    time.Duration // for how long it was so already, as the kernel tells
}

// see takes the picture that another look gives. A different one, or none, is
// the end of all that held before.
func (s *standstill) see(picture string, now time.Time) {
	if picture == "" || picture != s.picture {
		*s = standstill{picture: picture, at: now}
	}
}

// began takes over an earlier beginning from another of the same picture.
func (s *standstill) began(o *standstill) {
	if s.picture != "" && s.picture == o.picture && o.at.Before(s.at) {
		s.at = o.at
	}
}

// over is when it will have lasted for a time, and false if that is never. What
// was before the first look counts, but two looks at a distance there must be.
func (s *standstill) over(lasting time.Duration) (at time.Time, ok bool) {
	if s.picture == "" || lasting <= 0 {
		return time.Time{}, false
	}
	return s.at.Add(max(lasting-s.head, min(lasting, confirmAfter))), true
}

// held tells whether it has lasted for a time.
func (s *standstill) held(lasting time.Duration, now time.Time) bool {
	at, ok := s.over(lasting)
	return ok && !now.Before(at)
}
