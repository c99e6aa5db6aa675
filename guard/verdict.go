// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"golang.org/x/sys/unix"

	"safeload/guard/ancestry"
	"safeload/guard/graph"
	"safeload/guard/observe"
	"safeload/guard/registry"
	"safeload/internal/conf"
	"safeload/internal/proc"
)

// Verdict is what becomes of a load.
type Verdict uint8

const (
	Go     Verdict = iota // submit it
	Wait                  // not yet decided
	Refuse                // it would wait for itself
	Done                  // it went live by somebody else
	Again                 // it went away: from the beginning
	Failed                // somebody else's load has failed, and ours with it
	Follow                // submit it, to wait in the kernel; others have been told
)

func (v Verdict) letter(r *Refused) byte {
	if r != nil && r.Suspected {
		return 's'
	}
	return [...]byte{'g', 'w', 'r', 'd', 'a', 'f', 'g'}[v]
}

// Times of the wait in user space.
const (
	confirmAfter = 100 * time.Millisecond // between the two looks of a proof
	pollLeast    = 2 * time.Millisecond
	pollMost     = 50 * time.Millisecond
	lookMost     = 2 * time.Second

	// Where nobody is seen to load the module: all who wait for it may spend one
	// part in so many of a processor on looking.
	vacantPoll  = 250 * time.Millisecond
	vacantMost  = 32 * time.Second
	vacantShare = 16
)

// contend decides over a load whose module is coming. It returns Go, Refuse,
// Done, Failed, Follow or Again.
func (g *Guard) contend(l Load) (Verdict, *Refused) {
	if unix.Geteuid() != 0 {
		return Go, nil // the kernel refuses it at once, and says why
	}
	g.publish(l.entry(registry.StateWait))
	registry.SweepCgroups()
	c := &contest{g: g, l: l, began: g.own.Since}
	defer c.close()
	var err error
	if c.proc, err = proc.OpenProc(); err != nil {
		// Nothing can be seen: the kernel's own wait, as with kmod.
		g.fault("guard: cannot see who waits for whom, /proc is missing; loading as kmod would", err)
		g.count(Go, nil)
		return Go, nil
	}
	if c.proc.Self() != g.self.PID {
		return c.blind("/proc of this pid namespace")
	}
	g.reg.Foreign = c.proc.Nested()
	c.sys, _ = proc.OpenSys()
	there := c.roll()
	if there == observe.Nobody {
		return Refuse, c.dead()
	}
	independent := false
	c.bounded(func(c *contest) { independent = c.independent() })
	// Where the init may have died, the kernel is not given the module, whoever asks.
	if there == observe.Present && independent {
		g.count(Go, nil)
		return Go, nil
	}
	for {
		verdict, refused := c.wait()
		if verdict != Follow {
			return verdict, refused
		}
		// With fifty of us, each step takes as long as it takes the others to
		// have their turn: the load may be over, and its result not be had from
		// the kernel any more.
		g.publish(l.entry(registry.StateLoad))
		if state, another := c.state(); state == proc.Coming && !another {
			g.count(Follow, nil)
			return Follow, nil
		}
		g.publish(l.entry(registry.StateWait))
	}
}

// bounded runs f so that nobody can hold it up (see [proc.FS.Bounded]), on a copy
// that becomes the contest when f has come to its end.
func (c *contest) bounded(f func(c *contest)) {
	var done contest
	c.proc.Bounded(func(p *proc.FS) {
		try := *c
		try.proc = p
		f(&try)
		done = try
	})
	own := c.proc
	*c = done
	c.proc = own
}

// contest is the time from finding a module coming to the verdict.
type contest struct {
	g         *Guard
	l         Load
	proc, sys *proc.FS
	eyes      observe.Observer
	maps      *ancestry.Maps
	quick     bool      // look often: a decision is near
	heldAt    time.Time // since when another holds the registry
	node      uint64    // of the load that we wait for, in sysfs; 0: not known
	began     int64     // when we said that we wait; ns, CLOCK_BOOTTIME
	free      bool      // whoever asked for us is a stranger to all who load
	seen      int64     // when it was last seen coming; ns, CLOCK_BOOTTIME
	going     time.Time // since when its module is going

	first, looking time.Time // when the first look was due, and taken
	helper         uint8     // see alone; 0: not asked yet
	boot           string

	last    *observe.Waits    // the previous look
	proof   standstill        // of what is certain
	suspect standstill        // of what is likely
	needs   time.Duration     // how long the suspicion must hold; not positive: for ever
	took    time.Duration     // the last look
	lookers int               // who looked, at the last look
	turn    bool              // of all who could give way, it would be us
	polls   polling           // of a command that asks again and again
	rolls   *observe.RollCall // who runs the init; nil: not asked yet
}

func (c *contest) close() {
	c.g.reg.ReleaseLook()
	c.proc.Close()
	c.sys.Close()
	if c.maps != nil {
		c.maps.Close()
	}
}

func (c *contest) now() time.Time                  { return c.g.clock.Now() }
func (c *contest) since(t time.Time) time.Duration { return c.now().Sub(t) }

// state is the module's, and whether it is that of another load by now: each
// has a node of its own in sysfs.
func (c *contest) state() (state proc.ModuleState, another bool) {
	var node uint64
	at := c.g.clock.Boot()
	if c.sys != nil {
		state, node = c.sys.StateNode(c.l.Module)
	} else {
		state = proc.State(c.l.Module)
	}
	if state == proc.Coming && c.node == 0 {
		c.node = node
	}
	if another = node != 0 && node != c.node; state == proc.Coming && !another {
		c.seen = at
	}
	return state, another
}

// independent: nothing above us was started by the kernel's helper mechanism,
// loads a module, or is a command of ours. Then nobody who loads can be
// waiting for us, and the kernel's own wait is right.
func (c *contest) independent() bool {
	if c.g.self.Parent != "" {
		return false
	}
	pid := c.g.self.PID
	for range 256 {
		s, err := c.proc.Outline(pid, pid)
		if err != nil {
			return false
		}
		if s.Kthread() {
			return false // a helper
		}
		if pid != c.g.self.PID {
			loads := false
			given := c.proc.GivenUp()
			_ = c.proc.Threads(pid, func(tid int) bool {
				if !c.proc.MayLoad(pid, tid) {
					return true // and is not asked: see inspect
				}
				if call, ok := c.proc.Syscall(pid, tid); ok {
					k := call.Kind()
					loads = k == proc.FinitModule || k == proc.InitModule
				}
				return !loads
			})
			if loads || c.proc.GivenUp() != given {
				return false
			}
		}
		if s.PPID == 0 {
			return s.TID == 1 // or the rest is in another pid namespace
		}
		pid = s.PPID
	}
	return false
}

// wait watches until the module is no longer coming or the load is refused.
func (c *contest) wait() (Verdict, *Refused) {
	poll := pollLeast
	next := c.now()
	gap := confirmAfter / 4
	for {
		state, another := c.state()
		if another {
			return c.outcome()
		}
		switch state {
		case proc.Live:
			c.g.count(Done, nil)
			return Done, nil
		case proc.Coming:
			if c.free && !c.vacant() {
				return Follow, nil
			}
		case proc.Going:
			// Its init has failed, or somebody removes it, which may take any
			// time: the kernel sorts out who comes first.
			if c.going.IsZero() {
				c.going = c.now()
			}
			if c.since(c.going) > resultWait {
				return Go, nil
			}
			poll = min(poll, pollMost/4)
			c.g.clock.Sleep(poll)
			poll += poll / 4
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
			c.g.clock.Sleep(poll)
			poll = min(2*poll, pollMost) // and leave the processor to who looks
			continue
		}
		now := c.now()
		before := c.g.clock.CPU()
		if !now.Before(next) {
			var verdict Verdict
			var refused *Refused
			var decided bool
			c.bounded(func(c *contest) { verdict, refused, decided = c.ask() })
			// What the probe knows of who asks does not say that the init still runs.
			if decided && !(verdict == Go && c.vacant()) {
				if verdict == Go {
					c.g.count(Go, nil)
				}
				return verdict, refused
			}
		}
		if !now.Before(next) && c.moves() {
			next = c.now().Add(rest(gap, c.g.clock.CPU()-before, c.lookers))
		} else if !now.Before(next) {
			if c.last != nil && c.vacant() && c.roll() == observe.Nobody {
				return Refuse, c.dead()
			}
			verdict, refused, waiting := c.boundedLook()
			if verdict == Refuse {
				verdict, refused = c.confirm(refused)
			}
			if c.free && !c.vacant() {
				continue
			}
			if verdict != Wait {
				return verdict, refused
			}
			if c.proof.picture != "" || c.quick {
				gap = confirmAfter
			} else if gap *= 2; c.vacant() {
				cost := c.since(now) * time.Duration(max(1, waiting))
				gap = min(max(gap, vacantShare*cost), vacantMost)
			} else {
				gap = min(gap, lookMost)
			}
			c.lookers = max(1, waiting)
			next = c.now().Add(gap)
			if !c.turn { // whose turn it is to give way does not let the others wait
				next = c.now().Add(rest(gap, c.g.clock.CPU()-before, c.lookers))
			}
			// The look that ends the patience is over when it ends, not later:
			// after 60 s the crypto core gives an algorithm up for good.
			if end, ok := c.suspect.over(c.needs); ok && end.After(now) && end.Before(next.Add(c.took)) {
				next = end.Add(-c.took)
			}
		}
		c.g.clock.Sleep(poll)
		if poll += poll / 4; c.vacant() {
			poll = min(poll, vacantPoll)
		} else {
			poll = min(poll, pollMost)
		}
	}
}

// vacant tells whether the kernel has oopsed and nobody is seen to load the
// module: who did may have died, and there may be nobody whom this load keeps
// waiting.
func (c *contest) vacant() bool {
	return (c.last == nil || len(c.last.Owners(c.l.Module)) == 0) && c.proc.Oopsed()
}

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

// holdMost is the longest that one waits for another who is about to refuse.
const holdMost = 2 * time.Second

// confirm makes sure that one circle is refused once. Where /proc does not tell
// whose helper is whose, two who look at the same moment may each find that
// they came last. So who is about to refuse holds the registry, and looks once
// more: what another has refused meanwhile is a circle no longer.
func (c *contest) confirm(r *Refused) (Verdict, *Refused) {
	if !c.g.reg.Lock() {
		if c.heldAt.IsZero() {
			c.heldAt = c.now()
		}
		if c.since(c.heldAt) < holdMost {
			return Wait, nil
		}
		return Refuse, r // whoever holds it stands still
	}
	c.heldAt = time.Time{}
	v, r, _ := c.boundedLook()
	if v != Refuse {
		c.g.reg.Unlock()
	}
	return v, r
}

// blind gives up, where what must be seen cannot be read (no descriptor or
// memory left): the kernel's own wait, as with kmod.
func (c *contest) blind(what string) (Verdict, *Refused) {
	c.g.fault("guard: cannot see who waits for "+c.l.Module+": "+what+" cannot be read; loading as kmod would", nil)
	c.g.count(Go, nil)
	return Go, nil
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

func (c *contest) boundedLook() (v Verdict, r *Refused, waiting int) {
	c.bounded(func(c *contest) { v, r, waiting = c.look() })
	return v, r, waiting
}

// look takes one look and says Refuse or Wait, and how many others wait.
func (c *contest) look() (Verdict, *Refused, int) {
	began := c.now()
	stamp := c.g.clock.Boot()
	entries, err := c.g.reg.Read(c.proc)
	waiting := 0
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
	c.eyes.Proc, c.eyes.Sys, c.eyes.Probe, c.eyes.Unpack = c.proc, c.sys, c.probe(), c.g.o.Unpack
	c.eyes.Bold = c.g.conf != nil && c.g.conf.Policy == conf.Bold
	s := c.eyes.Look(entries, err == nil)
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
		return Wait, nil, waiting
	}

	sure := s.System(observe.Exact, before)
	maybe := s.System(observe.Best, before)
	self := graph.ID(c.g.self.PID)

	proof := sure.Stuck(graph.Certain)
	guess := maybe.Stuck(graph.Likely)
	c.proof.see(s.KnotPicture(proof, self), c.now())
	c.proof.began(&c.suspect) // the looks before saw the same, and lacked only each other
	if c.proof.held(confirmAfter, c.now()) && victim(s, proof, guess, self, false) {
		return Refuse, c.refusal(s, proof, guess, self, false), waiting
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
		return Refuse, c.refusal(s, guess, guess, self, !probed), waiting
	}
	if len(s.Entries) > 1 && c.suspect.picture == "" && c.polled(s, before, self) {
		last := s.System(observe.Patient, before).Stuck(graph.Likely)
		if victim(s, last, last, self, true) {
			return Refuse, c.refusal(s, last, last, self, true), waiting
		}
	}
	return Wait, nil, waiting
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

// probe is the one that the options name, or the one that runs.
func (c *contest) probe() observe.Ancestry {
	if c.g.o.Probe != nil {
		return c.g.o.Probe
	}
	if c.maps == nil {
		if m, err := ancestry.Open(); err == nil {
			c.maps = m
		}
	}
	if c.maps == nil {
		return nil
	}
	return c.maps
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
