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
	"errors"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/clock"
	"safeload/internal/conf"
	"safeload/internal/proc"
)

// DefaultPatience is how long a load that is only suspected of waiting for
// itself must have stood still before it is refused.
const DefaultPatience = conf.DefaultPatience

// Options are what a Guard must know of its program.
type Options struct {
	Request  string        // what was asked for: a module name or an alias
	Patience time.Duration // 0: as Settings say; negative: never refuse on suspicion
	Probe    Ancestry      // nil: none

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

	file  inode // what Path led to
	named bool  // Module is what stands in the file, not the file's own name
}

// Ancestry is what a probe knows of the hops that /proc does not show. A task
// is named by its thread id; implementations must answer only for tasks that
// are alive and the same ones.
type Ancestry interface {
	// Requester returns the thread that waits in request_module for the
	// helper process pid.
	Requester(pid int) (tid int, ok bool)
	// StartedBy returns the thread whose module init has a kernel thread or
	// workqueue worker act for it.
	StartedBy(tid int) (owner int, ok bool)
}

// clearer is an Ancestry that knows of everything that was started since it
// runs, and so of some that it was not for an init.
type clearer interface {
	// NotStartedBy tells whether what the kernel thread or worker tid does,
	// which Requester returned, was not started by the init that owner runs.
	NotStartedBy(tid, owner int) bool
}

// Guard is one invocation's. It is not safe for concurrent use.
type Guard struct {
	o       Options
	self    identity
	token   string
	own     entry // what was last published
	reg     registry
	faulted bool
	conf    *conf.Settings // nil until needed
	result  error          // of the load that we waited for and that failed

	settings func(conf.WarnFunc) conf.Settings // nil: the defaults hold
}

// New makes a Guard. It does no I/O: an invocation that finds nothing to load
// pays nothing.
func New(o Options) *Guard {
	if o.Dir == "" {
		o.Dir = defaultDir
	}
	g := &Guard{o: o, reg: registry{dir: o.Dir, fd: -1}}
	if !o.NoConfig {
		g.settings = conf.Read
	}
	return g
}

// Close releases what the guard holds.
func (g *Guard) Close() {
	g.guarded(func() {
		g.reg.retract()
		g.reg.close()
	})
}

// Submit runs submit, which gives the module to the kernel, when that can
// succeed. It returns
//   - submit's error, when it ran;
//   - nil when the module was being loaded by somebody else and went live;
//   - a *finit.Error with what the kernel would have given us, when somebody
//     else's load of it has failed;
//   - a *Refused when the load would wait for itself, after saying so in one
//     line on standard error or, with none, in the kernel's log.
func (g *Guard) Submit(l Load, submit func() error) error {
	asked := l.Module
	g.guarded(func() { l = identified(l) })
	again := 0
	for first := true; ; first = false {
		state := proc.State(l.Module)
		verdict := Go
		if state == proc.Unknown {
			state = g.detachedState(l.Module)
		}
		if first && state != proc.Coming && !l.named {
			g.guarded(func() {
				var coming bool
				if l, coming = g.unpacked(l); coming {
					state = proc.Coming
				}
			})
		}
		if state == proc.Coming && g.watches(l.Module, asked) {
			var refused *Refused
			g.guarded(func() { verdict, refused = g.contend(l) })
			switch verdict {
			case Refuse:
				if g.conf.Policy == conf.Observe && !refused.Dead {
					g.say("safeload: policy observe, loading all the same: " + refused.Error())
					break
				}
				g.guarded(func() {
					g.reg.retract()
					g.reg.count(verdict, refused)
				})
				g.say(refused.Error())
				return refused
			case Done:
				g.guarded(g.reg.retract)
				return nil
			case Failed:
				g.guarded(g.reg.retract)
				return g.result
			case Again:
				continue
			}
		}
		if verdict != Follow {
			g.guarded(func() { g.publish(l.entry(stateLoad)) })
		}
		err := submit()
		if (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) && g.reg.holds() {
			// The descriptors that kmod would have had for it are ours.
			g.guarded(func() {
				g.reg.retract()
				g.reg.close()
				g.fault("guard: cannot tell others of this load and load it, there are too few descriptors; loading as kmod would", err)
			})
			err = submit()
		}
		if again < maxAgain && state == proc.Coming && interrupted(err, proc.State(l.Module)) {
			again++
			g.guarded(g.reg.retract)
			continue
		}
		g.guarded(func() {
			if err != nil {
				g.tell(l, err, state == proc.Coming)
			}
			g.reg.retract()
		})
		return err
	}
}

// maxAgain bounds how often a load is submitted anew whose wait in the kernel
// for another's was interrupted.
const maxAgain = 16

// interrupted tells, of a load that was submitted while another's of the module
// ran, whether its wait for that in the kernel (idempotent_wait_for_completion)
// was ended by a stop, a tracer or the freezer: that load runs still, or has gone
// live. Otherwise EINTR is what the module's own init has returned, which must
// not run once more.
func interrupted(err error, now proc.ModuleState) bool {
	return errors.Is(err, unix.EINTR) && (now == proc.Coming || now == proc.Live)
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
func (g *Guard) publish(e entry) {
	if unix.Geteuid() != 0 {
		return // cannot load anything: the kernel's error says it best
	}
	g.identify()
	if g.token == "" {
		g.token = newToken()
	}
	e.pid, e.start = g.self.pid, g.self.start
	e.token, e.parent, e.depth = g.token, g.self.parent, g.self.depth
	e.request = g.o.Request
	e.since = clock.Boot()
	g.own = e
	err := g.reg.publish(e)
	if err == nil {
		return
	}
	g.reg.close() // few descriptors may be left; who reads it opens it again
	if again := g.reg.announce(e); again != nil {
		g.fault("guard: cannot tell others of this load, neither in "+g.o.Dir+" nor in memory; loading as kmod would", again)
	} else if err != unix.ENOENT { // no /run yet is nothing to speak of
		g.fault("guard: cannot write to "+g.o.Dir+"; telling others by a memfd instead", err)
	}
}

func (g *Guard) detachedState(module string) proc.ModuleState {
	state := proc.Unknown
	g.guarded(func() {
		sys, err := proc.OpenSys()
		if err == nil {
			state = sys.State(module)
			sys.Close()
		}
		if state == proc.Unknown && unix.Geteuid() == 0 {
			g.fault("guard: cannot see whether "+module+" is being loaded already; loading as kmod would", err)
		}
	})
	return state
}
