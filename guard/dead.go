// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"safeload/internal/observe"
)

// roll tells whether anybody runs the init that this load would wait for.
func (c *contest) roll() observe.Attendance {
	if c.rolls == nil {
		c.rolls = &observe.RollCall{Proc: c.proc, Sys: c.sys, Module: c.l.Module}
	}
	r := c.rolls
	if !r.Proc.Oopsed() || !r.Proc.Initial() {
		return observe.Present // or the kernel refuses the load
	}
	// One calls the roll, and the others sleep until he has: who is at work cannot
	// be asked, and fifty who ask each other would all be at work.
	deadline := c.now()
	if c.last == nil {
		deadline = deadline.Add(holdMost)
	}
	for {
		if id, ok := r.ComingLoad(); ok && c.g.reg.IsDead(r.Module, r.LoadName(id)) {
			return observe.Nobody
		}
		if c.g.reg.Lock() {
			break
		}
		if !c.now().Before(deadline) {
			return observe.Unclear
		}
		c.g.clock.Sleep(pollMost)
	}
	defer c.g.reg.Unlock()
	a := r.Call()
	if a == observe.Nobody {
		c.g.reg.MarkDead(r.Module, r.LoadName(r.LoadID))
	}
	return a
}

// dead is the refusal of a load whose module stays coming for ever.
func (c *contest) dead() *Refused {
	r := &Refused{Module: c.l.Module, Request: c.g.o.Request, PID: c.g.self.PID, Dead: true}
	if r.Request == "" {
		r.Request = c.l.Module
	}
	return r
}
