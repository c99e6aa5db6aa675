// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"
)

// Of a command that polls, the tasks change all the time. That it does nothing
// else must have been seen over the patience and half as much again, in so many
// looks, of which so many in ten found it doing nothing.
const (
	pollLooks = 5
	pollIdle  = 4
)

// polling is the picture of all but a command that polls, since when it has not
// changed, and what the command was found at.
type polling struct {
	picture string
	at      time.Time
	looks   int // since then
	busy    int // of these, those that found it at work
	missed  int // looks in a row in which nothing held
}

// see takes the picture that another look gives.
func (p *polling) see(picture string, busy bool, now time.Time) {
	p.missed = 0
	if picture == "" || picture != p.picture {
		*p = polling{picture: picture, at: now}
		return
	}
	p.looks++
	if busy {
		p.busy++
	}
}

// miss takes a look in which nothing holds. One may fall on a moment between
// two sleeps; a second in a row is an end.
func (p *polling) miss() {
	if p.missed++; p.missed > 1 {
		p.picture = ""
	}
}

// held tells whether it has been so for long enough; never with no patience.
func (p *polling) held(patience time.Duration, now time.Time) bool {
	return patience > 0 && now.Sub(p.at) >= patience+patience/2 &&
		p.looks >= pollLooks && (p.looks-p.busy)*10 >= p.looks*pollIdle
}
