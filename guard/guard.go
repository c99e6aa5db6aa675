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
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard/observe"
	"safeload/guard/registry"
	"safeload/internal/clock"
	"safeload/internal/conf"
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

// Load is one module about to be given to the kernel.
type Load struct {
	Module string // by the file's name, in the kernel's spelling, with '_'
	Path   string // the file to be submitted

	file  registry.Inode // what Path led to
	named bool           // Module is what stands in the file, not the file's own name
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

// watches reads the settings and tells whether they want the guard to look at
// this load. Its module has two names if the file is called otherwise.
func (g *Guard) watches(names ...string) bool {
	if g.conf == nil {
		s := conf.Default()
		if g.settings != nil {
			g.guarded(func() { s = g.settings(func(m string) { g.say("safeload: " + m) }) })
		}
		if g.o.Patience == 0 {
			g.o.Patience = s.Patience
			if s.Patience == 0 || s.Policy == conf.Proven {
				g.o.Patience = -1
			}
		}
		g.conf = &s
	}
	return g.conf.Policy != conf.Off && !slices.ContainsFunc(names, g.conf.Exempts)
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

// publish tells the others what this invocation does. Without a registry they
// still see it in /proc.
func (g *Guard) publish(e registry.Entry) {
	if unix.Geteuid() != 0 {
		return // cannot load anything: the kernel's error says it best
	}
	g.self.Identify()
	if g.token == "" {
		g.token = registry.NewToken()
	}
	e.PID, e.Start = g.self.PID, g.self.Start
	e.Token, e.Parent, e.Depth = g.token, g.self.Parent, g.self.Depth
	e.Request = g.o.Request
	e.Since = g.clock.Boot()
	g.own = e
	err := g.reg.Publish(e)
	if err == nil {
		return
	}
	g.reg.Close() // few descriptors may be left; who reads it opens it again
	if again := g.reg.Announce(e); again != nil {
		g.fault("guard: cannot tell others of this load, neither in "+g.o.Dir+" nor in memory; loading as kmod would", again)
	} else if err != unix.ENOENT { // no /run yet is nothing to speak of
		g.fault("guard: cannot write to "+g.o.Dir+"; telling others by a memfd instead", err)
	}
}

// entry is what an invocation says of a load.
func (l *Load) entry(state string) registry.Entry {
	e := registry.Entry{State: state, Module: l.Module, Path: l.Path}
	if l.named {
		e.File = l.file
	}
	return e
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
func (g *Guard) count(v Verdict, refused *Refused) { count(&g.reg, v, refused) }

func count(r *registry.Registry, v Verdict, refused *Refused) {
	line := ""
	if refused != nil {
		line = refused.Error()
	}
	r.Count(v.letter(refused), line)
}

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
