// SPDX-License-Identifier: Apache-2.0

// Package guard decides whether a module load may go ahead, and is around it
// while it does.
//
// A load whose module is not coming goes ahead at the price of one read. For
// one that is coming, the guard says that it waits, then looks who waits for
// whom: at the registry, where invocations of safeload say what they do; at
// /proc, where everybody is seen; and at the probe, when one runs. A load that
// waits for itself is refused. One that merely waits, waits.
//
// No fault of the guard stops a load. What cannot be seen counts as able to
// move, so that ignorance never makes a refusal.
package guard

import (
	"time"

	"safeload/finit"
	"safeload/internal/clock"
	"safeload/internal/conf"
	"safeload/internal/registry"
)

// DefaultPatience is how long a load that is only suspected of waiting for
// itself must have stood still before it is refused.
const DefaultPatience = conf.DefaultPatience

// Options are what a Guard must know of its program.
type Options struct {
	Request  string        // what was asked for: a module name or an alias
	Patience time.Duration // 0: as Settings say; negative: never refuse on suspicion

	// NoConfig leaves safeload.conf(5) and the kernel's command line unread, and
	// the defaults hold. Else they are read once, when a module is found coming,
	// never before; their patience counts where Patience is 0.
	NoConfig bool

	// Unpack decompresses a module's file, for the name that stands in it. nil: a
	// compressed module is known by the file's name alone.
	Unpack finit.Unpacker

	// Dir is where the registry lives; empty: /run/safeload.
	Dir string
	// Log takes the guard's own lines. nil: standard error, or the kernel's
	// log when there is none.
	Log func(line string)
}

// Command is an install or remove command of the configuration.
type Command struct {
	Kind   string // "install" or "remove"
	Module string // in place of whose loading or removing it runs
	Plain  bool   // it calls modprobe and does nothing else, so that it does the same each time
}

// Guard is one invocation's. It is not safe for concurrent use.
type Guard struct {
	o       Options
	self    registry.Identity
	token   string
	own     registry.Entry // what was last published
	reg     registry.Registry
	faulted bool
	conf    *conf.Settings // nil until needed
	result  error          // of the load that we waited for and that failed

	clock    clock.Clock
	settings func(conf.WarnFunc) conf.Settings // nil: the defaults hold
}

// New makes a Guard. It does no I/O: an invocation that finds nothing to load
// pays nothing.
func New(o Options) *Guard {
	if o.Dir == "" {
		o.Dir = registry.DefaultDir
	}
	g := &Guard{o: o, reg: registry.New(o.Dir), clock: clock.System{}}
	if !o.NoConfig {
		g.settings = conf.Read
	}
	return g
}

// Close releases what the guard holds.
func (g *Guard) Close() {
	g.guarded(func() {
		g.reg.Retract()
		g.reg.Close()
	})
}

// guarded runs a part of the guard itself, whose faults end with it.
func (g *Guard) guarded(f func()) {
	defer func() {
		if r := recover(); r != nil {
			what := "unknown"
			if e, ok := r.(error); ok {
				what = e.Error()
			}
			g.fault("guard: internal error: "+what+"; loading as kmod would", nil)
		}
	}()
	f()
}

// fault says once what the guard cannot do.
func (g *Guard) fault(what string, err error) {
	if g.faulted {
		return
	}
	g.faulted = true
	if err != nil {
		what += " (" + err.Error() + ")"
	}
	g.say("safeload: " + what)
}

// say writes one line where somebody will see it: standard error, or else the
// kernel's log.
func (g *Guard) say(line string) {
	if g.o.Log != nil {
		g.o.Log(line)
		return
	}
	g.reg.Print(line)
}

// count adds a verdict to the statistics.
func (g *Guard) count(v verdict, refused *Refused) { count(&g.reg, v, refused) }

func count(r *registry.Registry, v verdict, refused *Refused) {
	line := ""
	if refused != nil {
		line = refused.Error()
	}
	r.Count(v.letter(refused), line)
}
