// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"safeload/internal/conf"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// The sixth step of a load: whether the module may go to the kernel now. Before it
// identity.go has read which module it is; after it finit/finit.go gives it to the
// kernel. For a module that is not coming that is all; for one that is, wait.go
// decides.

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
		verdict := verdictGo
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
			case verdictRefuse:
				if g.conf.Policy == conf.Observe && !refused.Dead {
					g.say("safeload: policy observe, loading all the same: " + refused.Error())
					break
				}
				g.guarded(func() {
					g.reg.Retract()
					g.count(verdict, refused)
				})
				g.say(refused.Error())
				return refused
			case verdictDone:
				g.guarded(g.reg.Retract)
				return nil
			case verdictFailed:
				g.guarded(g.reg.Retract)
				return g.result
			case verdictAgain:
				continue
			}
		}
		if verdict != verdictFollow {
			g.guarded(func() { g.publish(l.entry(registry.StateLoad)) })
		}
		err := submit()
		if (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) && g.reg.HasDescriptor() {
			// The descriptors that kmod would have had for it are ours.
			g.guarded(func() {
				g.reg.Retract()
				g.reg.Close()
				g.fault("guard: cannot tell others of this load and load it, there are too few descriptors; loading as kmod would", err)
			})
			err = submit()
		}
		if again < maxAgain && state == proc.Coming && interrupted(err, proc.State(l.Module)) {
			again++
			g.guarded(g.reg.Retract)
			continue
		}
		g.guarded(func() {
			if err != nil {
				g.tell(l, err, state == proc.Coming)
			}
			g.reg.Retract()
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
