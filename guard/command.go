// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"golang.org/x/sys/unix"

	"safeload/guard/graph"
	"safeload/internal/conf"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// Command runs an install or remove command with this invocation's token in
// its environment and, where that is possible, in a cgroup of its own, so that
// the loads it leads to are known as ours whatever it does to its environment
// and its parents.
//
// A command that leads back to itself is not run: see leadsBack. The error is
// then a *Refused that has been reported.
//
// While it waits for the command, run is to call look: at once, and each time
// again after as many milliseconds as that returns, until it is negative.
func (g *Guard) Command(c Command, env []string, run func(env []string, look func() int) error) error {
	var refused *Refused
	g.guarded(func() { refused = g.leadsBack(c) })
	if refused != nil {
		g.say(refused.Error())
		return refused
	}
	var leave func()
	g.guarded(func() {
		// A token for each: what was started by one command of this invocation
		// and lives on is no part of the next.
		g.token = ""
		g.publish(registry.Entry{State: registry.StateCommand, Module: c.Module, Command: c.Kind, Plain: c.Plain})
		if g.token != "" {
			name := registry.Carry(g.token, g.self.Depth+1)
			env = registry.WithToken(env, name)
			leave = registry.EnterCgroup(name)
		}
	})
	o := &oversight{g: g, c: c}
	err := run(env, o.look)
	g.guarded(func() {
		if leave != nil {
			leave()
		}
		g.reg.Retract()
	})
	return err
}

// nestedMost is how many times a command may stand above itself when it is not
// plain. Such a one may look at a file, a variable or the time, and so come to
// an end by itself: the second or third time, not the ninth.
const nestedMost = 8

// leadsBack tells whether to run a command now would be to run it for ever:
// the same command of the same module runs above us and has come to this again.
// The kernel sees nothing of that: no module is coming, and kmod goes on until
// there is no memory left.
//
// Proven it is when the commands from there to here are all plain, and nothing
// but the shells that run them stands between: then nothing can come out
// differently the next time. Otherwise only the number counts, once: a command
// that tries again when it fails would else come to each depth many times.
func (g *Guard) leadsBack(c Command) *Refused {
	if unix.Geteuid() != 0 || c.Module == "" || c.Kind == "" {
		return nil // publishes nothing either
	}
	p, err := proc.OpenProc()
	if err != nil {
		return nil
	}
	defer p.Close()
	g.self.Identify()
	if p.Self() != g.self.PID {
		return nil // the pids that it shows are not ours
	}
	var above []registry.Entry
	var direct int
	p.Bounded(func(p *proc.FS) { above, direct = g.commandsAbove(p, c) })
	found, first, nested, plain := 0, 0, 0, c.Plain
	proven := false
	for i, e := range above {
		plain = plain && e.Plain && i < direct
		if e.Module != c.Module || e.Command != c.Kind {
			continue
		}
		first = i
		if nested++; nested == 1 {
			proven, found = plain, i
		}
	}
	if nested == 0 {
		return nil
	}
	loop, of := "loop-"+c.Kind[:1]+"-"+c.Module, above[first].Token
	if !proven && nested < nestedMost && !g.reg.HasNote(loop, of) || !g.watches(c.Module) {
		return nil
	}
	r := &Refused{Module: c.Module, Request: g.o.Request, PID: g.self.PID, Owner: above[found].PID, Command: c.Kind}
	if r.Request == "" {
		r.Request = c.Module
	}
	for i := found; i >= 0; i-- {
		e := &above[i]
		h := graph.Hop{PID: e.PID, TID: e.PID, Module: e.Module, Why: "waits for its command", Certainty: graph.Certain}
		if o, err := p.Outline(e.PID, e.PID); err == nil {
			h.Comm = o.Comm
		}
		r.Chain = append(r.Chain, h)
	}
	if g.conf.Policy == conf.Observe {
		g.say("safeload: policy observe, running it all the same: " + r.Error())
		return nil
	}
	if !proven {
		g.reg.Note(loop, of)
	}
	g.count(verdictRefuse, r)
	return r
}

// commandsAbove are the invocations above us that run a command now, the
// nearest first. Of these the first direct ones are our ancestors with at most
// one process, the shell, between one and the next; the others may also be
// known by their token alone. Nobody, where none of them runs c: then more need
// not be known.
func (g *Guard) commandsAbove(p *proc.FS, c Command) (above []registry.Entry, direct int) {
	g.reg.Foreign = p.Nested()
	entries, err := g.reg.Read(p)
	pids, tokens := make(map[int]*registry.Entry), make(map[string]*registry.Entry)
	// Without a registry each says what it does in a memfd.
	silent := err != nil && !g.reg.Foreign
	again := silent
	for i := range entries {
		e := &entries[i]
		if e.State != registry.StateCommand || e.PID == g.self.PID {
			continue
		}
		pids[e.PID], tokens[e.Token] = e, e
		again = again || e.Module == c.Module && e.Command == c.Kind
	}
	if !again {
		return nil, 0
	}
	self, _ := p.Exe(g.self.PID)
	seen := make(map[int]bool)
	envs, _ := registry.EnvToken()
	groups, _ := registry.CgroupToken(p, g.self.PID)
	carry := []string{envs, groups}
	climb := func(pid int, straight bool) {
		for between := 0; pid > 1 && !seen[pid]; {
			seen[pid] = true
			s, err := p.Outline(pid, pid)
			if err != nil || s.Kthread() {
				return
			}
			e := pids[pid]
			if e == nil && silent && pid != g.self.PID {
				if a, ok := registry.ReadAnnounced(p, pid, self); ok && a.State == registry.StateCommand {
					e = &a
				}
			}
			switch {
			case e != nil:
				above = append(above, *e)
				if straight = straight && between <= 1; straight {
					direct = len(above)
				}
				between = 0
				carry = append(carry, e.Parent)
			case pid != g.self.PID:
				between++
			}
			pid = s.PPID
		}
	}
	climb(g.self.PID, true)
	for i := 0; i < len(carry); i++ {
		if e := tokens[carry[i]]; e != nil {
			climb(e.PID, false)
		}
	}
	return above, direct
}
