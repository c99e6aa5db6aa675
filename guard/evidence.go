// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"safeload/guard/graph"
	"safeload/internal/conf"
	"safeload/internal/observe"
	"safeload/internal/registry"
)

func (c *contest) boundedLook() (v verdict, r *Refused, waiting int) {
	c.bounded(func(c *contest) { v, r, waiting = c.look() })
	return v, r, waiting
}

// entries are what the registry holds, ours among them, and how many of these
// wait. registered tells whether there is a registry.
func (c *contest) entries() (entries []registry.Entry, registered bool, waiting int) {
	entries, err := c.g.reg.Read(c.proc)
	me := false
	for i := range entries {
		if entries[i].State == registry.StateWait {
			waiting++
		}
		me = me || entries[i].PID == c.g.self.PID
	}
	if !me {
		// The registry cannot hold it. The same at each look: who came last
		// is told by it, and that nothing has changed.
		entries = append(entries, c.g.own)
	}
	return entries, err == nil, waiting
}

// look takes one look and says Refuse or Wait, and how many others wait.
func (c *contest) look() (verdict, *Refused, int) {
	began := c.now()
	stamp := c.g.clock.Boot()
	entries, registered, waiting := c.entries()
	c.eyes.Proc, c.eyes.Sys, c.eyes.Probe, c.eyes.Unpack = c.proc, c.sys, c.probe(), c.g.o.Unpack
	c.eyes.Bold = c.g.conf != nil && c.g.conf.Policy == conf.Bold
	s := c.eyes.Look(entries, registered)
	if s.Tasks[c.g.self.PID] == nil { // not even ourselves
		v, _ := c.blind("/proc")
		return v, nil, waiting
	}
	s.NameLoaders(c.l.file, c.l.Module)
	c.tellLook(s, stamp, waiting)
	before := c.last
	c.last = s
	// Where the init may have died, the kernel is not given the module, whoever asks.
	if c.free = s.AskedByStrangers(c.g.self); c.free && !c.vacant() {
		return verdictWait, nil, waiting
	}
	v, r := c.judge(s, before, began)
	return v, r, waiting
}

// judge weighs what a look, which began at the given time, and the one before it
// show. It says Refuse or Wait.
func (c *contest) judge(s, before *observe.Waits, began time.Time) (verdict, *Refused) {
	sure := s.System(observe.Exact, before)
	maybe := s.System(observe.Best, before)
	self := graph.ID(c.g.self.PID)

	proof := sure.Stuck(graph.Certain)
	guess := maybe.Stuck(graph.Likely)
	c.proof.see(s.KnotPicture(proof, self), c.now())
	c.proof.began(&c.suspect) // the looks before saw the same, and lacked only each other
	if c.proof.held(confirmAfter, c.now()) && victim(s, proof, guess, self, false) {
		return verdictRefuse, c.refusal(s, proof, guess, self, false)
	}
	c.suspect.see(s.KnotPicture(guess, self), c.now())
	if before == nil && c.suspect.picture != "" {
		c.suspect.head = s.StoodStill(guess.Reach(self), c.g.self)
	}
	var probed bool
	c.needs, probed = c.patience(s, guess, self)
	// What is only likely now may be certain at the next look: whose helper is whose.
	c.turn = victim(s, proof, guess, self, false) || victim(s, guess, guess, self, true)
	if end, ok := c.suspect.over(c.needs); ok && before != nil {
		if left := end.Sub(c.now()); left > 0 && left <= confirmAfter {
			// What is left is not worth another look at everybody.
			c.g.clock.Sleep(left)
			c.suspect.see(s.KnotPicture(guess, self), c.now())
		}
	}
	c.took = c.since(began)
	if c.suspect.held(c.needs, c.now()) && victim(s, guess, guess, self, true) {
		if !probed {
			c.g.remember(c.l.Module, s.Owners(c.l.Module), s.TiedThread(guess.Cycle(self)))
		}
		return verdictRefuse, c.refusal(s, guess, guess, self, !probed)
	}
	if len(s.Entries) > 1 && c.suspect.picture == "" && c.polled(s, before, self) {
		last := s.System(observe.Patient, before).Stuck(graph.Likely)
		if victim(s, last, last, self, true) {
			return verdictRefuse, c.refusal(s, last, last, self, true)
		}
	}
	return verdictWait, nil
}

// probedPatience is enough where the probe saw that the kernel thread which
// asks was started by the init that sleeps: what is left to doubt is only
// whether the sleep is for that thread.
const probedPatience = 500 * time.Millisecond

// repeatPatience is enough for a load by which a request was refused on
// suspicion before, and whose same thread asks again: the crypto manager asks
// for several names of one algorithm, and gives up after 60 s.
const repeatPatience = time.Second

// patience is how long a suspicion must have held, and whether it rests on
// nothing but what the probe saw.
func (c *contest) patience(s *observe.Waits, guess *graph.Stuck, self graph.ID) (p time.Duration, probed bool) {
	c.quick = false
	cycle := guess.Cycle(self)
	for _, step := range cycle {
		if step.Wait.Certainty != graph.Likely {
			continue
		}
		if probed = s.ByProbe[int(step.Task)]; !probed {
			break
		}
	}
	if probed {
		c.quick = true
		return probedPatience, true
	}
	p = c.g.o.Patience
	if p > repeatPatience && c.g.remembers(c.l.Module, s.Owners(c.l.Module), s.TiedThread(cycle)) {
		c.quick = true
		p = repeatPatience
	}
	return p, false
}

// victim tells whether it is self that must fail, of all the waits whose
// failing would free the others: the one who came last closed the cycle. All
// of those who see the same deadlock come to the same answer. Where it is only
// suspected that an init waits for what asks, only the helper of that may fail.
func victim(s *observe.Waits, st, guess *graph.Stuck, self graph.ID, suspected bool) bool {
	var waits []*registry.Entry
	knot := st.Knot(self)
	for _, id := range knot {
		e := s.Entries[int(id)]
		if e == nil || e.State != registry.StateWait {
			continue
		}
		if suspected && s.TiedThread(st.Cycle(id)) != nil && !s.RequestedBy(e.PID, knot) {
			continue
		}
		waits = append(waits, e)
	}
	// When it is not certain whose helper is whose, some of them may only be
	// waiting for the others. The likelier reading tells them apart.
	sharp := waits[:0:0]
	for _, e := range waits {
		if len(guess.Cycle(graph.ID(e.PID))) > 0 {
			sharp = append(sharp, e)
		}
	}
	if len(sharp) > 0 {
		waits = sharp
	}
	var last *registry.Entry
	for _, e := range waits {
		if t := s.Tasks[e.PID]; t != nil && (t.State == 'T' || t.State == 't') {
			continue // stopped: it will not act
		}
		if last == nil || e.Since > last.Since || e.Since == last.Since && e.PID > last.PID {
			last = e
		}
	}
	return last != nil && graph.ID(last.PID) == self
}

func (c *contest) refusal(s *observe.Waits, st, guess *graph.Stuck, self graph.ID, suspected bool) *Refused {
	r := &Refused{Module: c.l.Module, Request: c.g.o.Request, PID: c.g.self.PID, Suspected: suspected}
	if r.Request == "" {
		r.Request = c.l.Module
	}
	cycle := guess.Cycle(self)
	if cycle == nil {
		cycle = st.Cycle(self)
	}
	r.Chain = s.Chain(cycle)
	if len(r.Chain) > 1 {
		r.Owner = r.Chain[1].PID
	}
	return r
}

// polled tells whether the patient reading has held for long.
func (c *contest) polled(s, before *observe.Waits, self graph.ID) bool {
	st := s.System(observe.Patient, before).Stuck(graph.Likely)
	if len(s.Pollers) == 0 {
		return false
	}
	if before == nil || len(st.Knot(self)) == 0 {
		c.polls.miss()
		return false
	}
	var rest []graph.ID
	for _, id := range st.Reach(self) {
		if !s.Pollers[int(id)] {
			rest = append(rest, id)
		}
	}
	now := c.now()
	c.polls.see(s.Picture(rest), s.PollerWorked, now)
	return c.polls.held(c.g.o.Patience, now)
}
