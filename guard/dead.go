// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"

	"safeload/guard/observe"
	"safeload/internal/proc"
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

func dead(p, sys *proc.FS) []string {
	var names []string
	if sys == nil || !p.Oopsed() {
		return nil
	}
	for _, module := range p.Loading() {
		r := &observe.RollCall{Proc: p, Sys: sys, Module: module}
		if r.Call() == observe.Nobody {
			names = append(names, module)
		}
	}
	slices.Sort(names)
	return names
}

// Dead names the modules of the running system that are coming and whose init
// nobody runs any more, as far as that is certain; root sees it.
func Dead() []string {
	p, err := proc.OpenProc()
	if err != nil {
		return nil
	}
	defer p.Close()
	sys, err := proc.OpenSys()
	if err != nil {
		return nil
	}
	defer sys.Close()
	return dead(p, sys)
}
