// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"safeload/internal/ancestry"
	"safeload/internal/observe"
	"safeload/internal/proc"
)

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

func (c *contest) close() {
	c.g.reg.ReleaseLook()
	c.proc.Close()
	c.sys.Close()
	if c.maps != nil {
		c.maps.Close()
	}
}

func (c *contest) now() time.Time { return c.g.clock.Now() }

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

// blind gives up, where what must be seen cannot be read (no descriptor or
// memory left): the kernel's own wait, as with kmod.
func (c *contest) blind(what string) (verdict, *Refused) {
	c.g.fault("guard: cannot see who waits for "+c.l.Module+": "+what+" cannot be read; loading as kmod would", nil)
	c.g.count(verdictGo, nil)
	return verdictGo, nil
}

// probe is the one that runs; nil: none.
func (c *contest) probe() observe.Ancestry {
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

// vacant tells whether the kernel has oopsed and nobody is seen to load the
// module: who did may have died, and there may be nobody whom this load keeps
// waiting.
func (c *contest) vacant() bool {
	return (c.last == nil || len(c.last.Owners(c.l.Module)) == 0) && c.proc.Oopsed()
}

// holdMost is the longest that one waits for another who is about to refuse.
const holdMost = 2 * time.Second

// remember notes that a request was refused on suspicion because of the load of
// a module, and of the thread that the load is taken to wait for. A worker is at
// one item after another, so what it was at says nothing of its next request.
func (g *Guard) remember(module string, owners []*observe.Task, tie *observe.Task) {
	if len(owners) == 1 && (tie == nil || !tie.Worker()) {
		g.reg.RememberSuspicion(module, owners[0].Thread(), tie.Thread())
	}
}

// remembers tells whether that same load was the reason before, and for the
// same thread.
func (g *Guard) remembers(module string, owners []*observe.Task, tie *observe.Task) bool {
	return len(owners) == 1 && (tie == nil || !tie.Worker()) &&
		g.reg.RemembersSuspicion(module, owners[0].Thread(), tie.Thread())
}
