// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"safeload/guard/graph"
	"safeload/internal/conf"
	"safeload/internal/observe"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// oversight looks at what a command has started while it runs. A modprobe that
// is not ours asks nobody: that of an install command by its path, say, for the
// very module whose init has asked for us. It then waits in the kernel for the
// load that waits for us, and we for it. We are the one who can see that, and
// who has started it.
type oversight struct {
	g *Guard
	c Command

	looks   int
	gap     time.Duration
	last    *observe.Waits
	eyes    observe.Observer
	proof   standstill
	suspect standstill
	ended   int // the process that was sent a signal
	held    int // looks in a row at which another held the registry
}

// Times between the looks. One costs as much as a contended load's does, and is
// taken only while some module is coming.
const (
	oversightLeast = 500 * time.Millisecond
	oversightMost  = 10 * time.Second
)

// look takes one look, and tells in how many milliseconds it wants to take the
// next; -1: never. The first call only says when to begin.
func (o *oversight) look() int {
	next := time.Duration(-1)
	o.g.guarded(func() { next = o.step() })
	if next < 0 {
		return -1
	}
	return int(next / time.Millisecond)
}

func (o *oversight) step() time.Duration {
	if o.looks++; o.looks == 1 {
		o.gap = oversightLeast
		if o.g.token == "" || !o.g.reg.Published() && !o.g.reg.Announces() {
			return -1 // others would not know what we wait for
		}
		return o.gap
	}
	p, err := proc.OpenProc()
	if err != nil {
		return -1
	}
	defer p.Close()
	if p.Self() != o.g.self.PID || p.Nested() {
		return -1
	}
	c := &contest{g: o.g, proc: p}
	if o.looks == 2 && c.apart() {
		return -1 // nobody who loads can be waiting for us
	}
	if o.gap *= 2; o.gap > oversightMost {
		o.gap = oversightMost
	}
	if b, err := p.Read("modules"); err == nil && !bytes.Contains(b, []byte(" Loading ")) {
		o.last = nil
		return o.gap
	}
	sys, _ := proc.OpenSys()
	defer sys.Close()
	probe := c.probe()
	defer func() {
		if c.maps != nil {
			c.maps.Close()
		}
	}()
	o.eyes.Sys, o.eyes.Probe, o.eyes.Unpack = sys, probe, o.g.o.Unpack
	// A registry of our own: the entry in the other one stays where it is.
	r := registry.New(o.g.o.Dir)
	defer r.Close()
	before := o.g.clock.CPU()
	var seen circle
	var gap time.Duration
	var done oversight
	p.Bounded(func(p *proc.FS) {
		try := *o
		seen, gap = try.circle(p, &r)
		done = try
	})
	if *o = done; seen.task != nil {
		gap = o.end(p, &r, seen)
	}
	if gap < 0 {
		return gap
	}
	return rest(gap, o.g.clock.CPU()-before, max(1, len(o.last.Entries)))
}

// circle is what a look of an [oversight] found: a task of its command that can
// never go on, and why.
type circle struct {
	task      *observe.Task
	chain     []graph.Step
	suspected bool
}

// circle looks for one. Without one it tells when to look again.
func (o *oversight) circle(p *proc.FS, r *registry.Registry) (circle, time.Duration) {
	if !o.g.watches() {
		return circle{}, -1
	}
	entries, err := r.Read(p)
	o.eyes.Proc, o.eyes.Bold = p, o.g.conf.Policy == conf.Bold
	s := o.eyes.Look(entries, err == nil)
	before := o.last
	o.last = s
	sure, maybe := s.System(observe.Exact, before), s.System(observe.Best, before)
	now := o.g.clock.Now()
	t, chain := o.stuck(s, sure.Stuck(graph.Certain), maybe.Stuck(graph.Likely), &o.proof, now)
	if t != nil && o.proof.held(confirmAfter, now) {
		return circle{t, chain, false}, o.gap
	}
	if t == nil {
		if t, chain = o.stuck(s, maybe.Stuck(graph.Likely), nil, &o.suspect, now); t == nil {
			return circle{}, o.gap
		}
	}
	if !o.g.watches(t.Module) {
		return circle{}, -1
	}
	if o.suspect.held(o.g.o.Patience, now) {
		return circle{t, chain, true}, o.gap
	}
	if o.gap = min(o.gap, time.Second); o.proof.picture != "" || before == nil {
		return circle{}, confirmAfter
	}
	return circle{}, o.gap
}

// stuck gives the task of the command that waits in the kernel for a load that
// can never end, where it is the one that had best fail: the last of those like
// it. Where a safeload waits on the same circle, that one fails.
func (o *oversight) stuck(s *observe.Waits, st, guess *graph.Stuck, seen *standstill, now time.Time) (last *observe.Task, chain []graph.Step) {
	for _, t := range s.Tasks {
		id := graph.ID(t.TID)
		if t.Module == "" || !t.Waiter || t.State != 'S' || s.Entries[t.PID] != nil || !s.Descends(t.PID, o.g.self.PID) {
			continue
		}
		knot := st.Knot(id)
		if len(knot) == 0 {
			continue
		}
		mine := true
		for _, k := range knot {
			other := s.Tasks[int(k)]
			if e := s.Entries[int(k)]; e != nil && e.State == registry.StateWait {
				mine = false
			}
			if other != nil && other != t && other.Module != "" && other.Waiter && s.InCommand(other.PID) &&
				(other.Start > t.Start || other.Start == t.Start && other.TID > t.TID) {
				mine = false
			}
		}
		if mine && (last == nil || t.Start > last.Start) {
			last = t
		}
	}
	if last == nil {
		seen.see("", now)
		return nil, nil
	}
	id := graph.ID(last.TID)
	seen.see(s.KnotPicture(st, id), now)
	if guess != nil {
		chain = guess.Cycle(id)
	}
	if chain == nil {
		chain = st.Cycle(id)
	}
	return last, chain
}

// end has the wait of a task end, by a signal to its process: what it waits for
// then goes on.
func (o *oversight) end(p *proc.FS, r *registry.Registry, c circle) time.Duration {
	t := c.task
	if !o.g.watches(t.Module) {
		return -1
	}
	if !r.Lock() && o.held < int(holdMost/confirmAfter) {
		o.held++
		return confirmAfter // another is about to end or refuse something
	}
	defer r.Unlock()
	o.held = 0
	refused := &Refused{Module: t.Module, Request: o.g.o.Request, PID: t.PID, Suspected: c.suspected, By: o.g.self.PID}
	refused.Chain = o.last.Chain(c.chain)
	if len(refused.Chain) > 1 {
		refused.Owner = refused.Chain[1].PID
	}
	if o.g.conf.Policy == conf.Observe {
		o.g.say("safeload: policy observe, letting it wait: " + refused.Error())
		return -1
	}
	sig := unix.SIGTERM
	if o.ended == t.PID {
		sig = unix.SIGKILL // a shell may have it ignore the other
	}
	fd, err := unix.PidfdOpen(t.PID, 0)
	if err != nil {
		return o.gap
	}
	defer unix.Close(fd)
	var st proc.Stat
	p.Bounded(func(p *proc.FS) { st, err = p.ProcessStat(t.PID) })
	if err != nil || st.Held || st.Start != t.ProcessStart {
		return oversightLeast
	}
	if unix.PidfdSendSignal(fd, sig, nil, 0) != nil {
		return o.gap
	}
	if o.ended != t.PID {
		o.g.say(refused.Error())
		count(r, verdictRefuse, refused)
	}
	o.ended = t.PID
	o.proof, o.suspect, o.gap = standstill{}, standstill{}, oversightLeast
	return oversightLeast
}
