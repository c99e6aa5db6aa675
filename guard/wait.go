// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/observe"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// contend decides over a load whose module is coming. It returns Go, Refuse,
// Done, Failed, Follow or Again.
func (g *Guard) contend(l Load) (verdict, *Refused) {
	if unix.Geteuid() != 0 {
		return verdictGo, nil // the kernel refuses it at once, and says why
	}
	g.publish(l.entry(registry.StateWait))
	registry.SweepCgroups()
	c := &contest{g: g, l: l, began: g.own.Since}
	defer c.close()
	var err error
	if c.proc, err = proc.OpenProc(); err != nil {
		// Nothing can be seen: the kernel's own wait, as with kmod.
		g.fault("guard: cannot see who waits for whom, /proc is missing; loading as kmod would", err)
		g.count(verdictGo, nil)
		return verdictGo, nil
	}
	if c.proc.Self() != g.self.PID {
		return c.blind("/proc of this pid namespace")
	}
	g.reg.Foreign = c.proc.Nested()
	c.sys, _ = proc.OpenSys()
	there := c.roll()
	if there == observe.Nobody {
		return verdictRefuse, c.dead()
	}
	independent := c.apart()
	// Where the init may have died, the kernel is not given the module, whoever asks.
	if there == observe.Present && independent {
		g.count(verdictGo, nil)
		return verdictGo, nil
	}
	for {
		verdict, refused := c.wait()
		if verdict != verdictFollow {
			return verdict, refused
		}
		// With fifty of us, each step takes as long as it takes the others to
		// have their turn: the load may be over, and its result not be had from
		// the kernel any more.
		g.publish(l.entry(registry.StateLoad))
		if state, another := c.state(); state == proc.Coming && !another {
			g.count(verdictFollow, nil)
			return verdictFollow, nil
		}
		g.publish(l.entry(registry.StateWait))
	}
}

// apart is [contest.independent], asked so that nobody can hold it up. For that it
// takes threads, which cost a helper of the kernel more than all the rest until it
// waits: so it is asked only if the outlines of those above us, which nobody can
// hold, do not tell already that one of them is the kernel's.
func (c *contest) apart() (is bool) {
	if !c.helped() {
		c.bounded(func(c *contest) { is = c.independent() })
	}
	return is
}

// helped: we, or a process above us, were started by the kernel, or are a command
// of ours.
func (c *contest) helped() bool {
	return c.g.self.Parent != "" || c.climb(func(int) bool { return true }) == toKernel
}

// independent: nothing above us was started by the kernel's helper mechanism,
// loads a module, or is a command of ours. Then nobody who loads can be
// waiting for us, and the kernel's own wait is right.
func (c *contest) independent() bool {
	return c.g.self.Parent == "" && c.climb(c.loadsNothing) == toInit
}

// climbed is how the way up from this process ends.
type climbed uint8

const (
	toNobody climbed = iota // at one who cannot be read, in another pid namespace, or as looked for
	toKernel
	toInit
)

// climb goes through the outlines of this process and of those above it, which
// nobody can hold up. good is asked of each of those above; one that is not ends it.
func (c *contest) climb(good func(pid int) bool) climbed {
	pid := c.g.self.PID
	for range 256 {
		s, err := c.proc.Outline(pid, pid)
		switch {
		case err != nil:
			return toNobody
		case s.Kthread():
			return toKernel // a helper
		case pid != c.g.self.PID && !good(pid):
			return toNobody
		case s.PPID == 0 && s.TID == 1:
			return toInit
		case s.PPID == 0:
			return toNobody
		}
		pid = s.PPID
	}
	return toNobody
}

// loadsNothing tells whether, for certain, no thread of a process loads a module.
func (c *contest) loadsNothing(pid int) bool {
	loads := false
	given := c.proc.GivenUp()
	_ = c.proc.Threads(pid, func(tid int) bool {
		if !c.proc.MayLoad(pid, tid) {
			return true // and is not asked: see observe
		}
		if call, ok := c.proc.Syscall(pid, tid); ok {
			k := call.Kind()
			loads = k == proc.FinitModule || k == proc.InitModule
		}
		return !loads
	})
	return !loads && c.proc.GivenUp() == given
}

// wait watches until the module is no longer coming or the load is refused.
func (c *contest) wait() (verdict, *Refused) {
	p := pace{poll: pollLeast, gap: confirmAfter / 4, next: c.now()}
	for {
		state, another := c.state()
		if another {
			return c.outcome()
		}
		switch state {
		case proc.Live:
			c.g.count(verdictDone, nil)
			return verdictDone, nil
		case proc.Coming:
			if c.free && !c.vacant() {
				return verdictFollow, nil
			}
		case proc.Going:
			// Its init has failed, or somebody removes it, which may take any
			// time: the kernel sorts out who comes first.
			if c.going.IsZero() {
				c.going = c.now()
			}
			if c.since(c.going) > resultWait {
				return verdictGo, nil
			}
			p.poll = min(p.poll, pollMost/4)
			c.g.clock.Sleep(p.poll)
			p.poll += p.poll / 4
			continue
		case proc.Unknown:
			return c.blind("its state in /sys")
		default:
			return c.outcome()
		}
		hold, strangers := c.holdOff()
		if c.free = strangers; strangers && !c.vacant() {
			continue
		}
		if hold {
			c.g.clock.Sleep(p.poll)
			p.poll = min(2*p.poll, pollMost) // and leave the processor to who looks
			continue
		}
		if !c.now().Before(p.next) {
			if verdict, refused := c.decide(&p); verdict != verdictWait {
				return verdict, refused
			}
			if c.free && !c.vacant() {
				continue
			}
		}
		c.g.clock.Sleep(p.poll)
		if p.poll += p.poll / 4; c.vacant() {
			p.poll = min(p.poll, vacantPoll)
		} else {
			p.poll = min(p.poll, pollMost)
		}
	}
}

// decide asks the probe, and looks where that does not tell. It returns Go, Refuse
// or Wait, and says when to do so next.
func (c *contest) decide(p *pace) (verdict verdict, refused *Refused) {
	now := c.now()
	before := c.g.clock.CPU()
	decided := false
	verdict = verdictWait
	if c.probe() != nil {
		c.bounded(func(c *contest) { verdict, refused, decided = c.ask() })
	}
	// What the probe knows of who asks does not say that the init still runs.
	if decided && !(verdict == verdictGo && c.vacant()) {
		if verdict == verdictGo {
			c.g.count(verdictGo, nil)
		}
		return verdict, refused
	}
	if c.moves() {
		p.next = c.now().Add(rest(p.gap, c.g.clock.CPU()-before, c.lookers))
		return verdictWait, nil
	}
	if c.last != nil && c.vacant() && c.roll() == observe.Nobody {
		return verdictRefuse, c.dead()
	}
	verdict, refused, waiting := c.boundedLook()
	if verdict == verdictRefuse {
		verdict, refused = c.confirm(refused)
	}
	if c.free && !c.vacant() {
		return verdictWait, nil
	}
	if verdict == verdictWait {
		c.putOff(p, now, before, waiting)
	}
	return verdict, refused
}

// putOff says when to look again after a look that was due at now, at which so
// many waited. before is what we had spent of a processor when it began.
func (c *contest) putOff(p *pace, now time.Time, before time.Duration, waiting int) {
	c.lookers = max(1, waiting)
	if c.proof.picture != "" || c.quick {
		p.gap = confirmAfter
	} else if p.gap *= 2; c.vacant() {
		cost := c.since(now) * time.Duration(c.lookers)
		p.gap = min(max(p.gap, vacantShare*cost), vacantMost)
	} else {
		p.gap = min(p.gap, lookMost)
	}
	p.next = c.now().Add(p.gap)
	if !c.turn { // whose turn it is to give way does not let the others wait
		p.next = c.now().Add(rest(p.gap, c.g.clock.CPU()-before, c.lookers))
	}
	// The look that ends the patience is over when it ends, not later:
	// after 60 s the crypto core gives an algorithm up for good.
	if end, ok := c.suspect.over(c.needs); ok && end.After(now) && end.Before(p.next.Add(c.took)) {
		p.next = end.Add(-c.took)
	}
}

// confirm makes sure that one circle is refused once. Where /proc does not tell
// whose helper is whose, two who look at the same moment may each find that
// they came last. So who is about to refuse holds the registry, and looks once
// more: what another has refused meanwhile is a circle no longer.
func (c *contest) confirm(r *Refused) (verdict, *Refused) {
	if !c.g.reg.Lock() {
		if c.heldAt.IsZero() {
			c.heldAt = c.now()
		}
		if c.since(c.heldAt) < holdMost {
			return verdictWait, nil
		}
		return verdictRefuse, r // whoever holds it stands still
	}
	c.heldAt = time.Time{}
	v, r, _ := c.boundedLook()
	if v != verdictRefuse {
		c.g.reg.Unlock()
	}
	return v, r
}

// moves tells, for the price of two reads, that a look would find nothing: the
// one whose init runs is on a processor or in a sleep that ends by itself.
func (c *contest) moves() (is bool) {
	if c.last == nil {
		return false
	}
	c.bounded(func(c *contest) { is = c.ownerMoves() })
	return is
}

func (c *contest) ownerMoves() bool {
	owners := c.last.Owners(c.l.Module)
	if len(owners) != 1 {
		return false
	}
	o := owners[0]
	st, err := c.proc.Stat(o.PID, o.TID)
	return err == nil && st.Start == o.Start && (!st.Asleep() || observe.IsTimed(c.proc.Wchan(o.PID, o.TID)))
}
