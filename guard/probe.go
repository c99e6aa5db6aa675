// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"safeload/guard/graph"
	"safeload/internal/ancestry"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// decider is an Ancestry that can answer the whole question from the maps of a
// running probe.
type decider interface {
	Decide(module string, pid int, others []ancestry.Waiting) (ancestry.Answer, []ancestry.Link)
	Loading(module string) (pid int, ok bool)
}

// ask puts the question to the probe. A chain in which each task waits itself
// needs no second look: the maps say what the kernel does. What the probe finds
// independent may wait in the kernel, as it would with kmod. Anything else is
// left to looks at /proc with what the probe knows of them:
//   - that we descend from a helper does not mean that it waits for us;
//   - that an init was asleep when the probe saw it does not mean that it waits
//     for the kernel thread it has started (kthread_create sleeps, too);
//   - a circle that only waits in user space close: of those one must give way,
//     and the registry tells which.
func (c *contest) ask() (v verdict, refused *Refused, decided bool) {
	d, ok := c.probe().(decider)
	if !ok {
		return verdictWait, nil, false
	}
	others, ok := c.others(d)
	if !ok {
		return verdictWait, nil, false
	}
	pid := int(c.g.self.PID)
	answer, hops := d.Decide(c.l.Module, pid, others)
	switch {
	case answer == ancestry.Independent && c.trusts():
		return verdictGo, nil, true
	case answer == ancestry.Proven && c.direct(hops):
		return verdictRefuse, c.probed(hops), true
	}
	return verdictWait, nil, false
}

// direct tells whether a chain, of the load that would be waited for first,
// needs nothing but the probe's word: each load asks by its own thread, in the
// very process that the kernel started for the request before, and the last
// such process is us.
func (c *contest) direct(hops []ancestry.Link) bool {
	if len(hops) == 0 || hops[len(hops)-1].Child != c.g.self.PID {
		return false
	}
	for i, h := range hops {
		if h.Kthread || h.Work || h.TID != h.Requester {
			return false
		}
		if i > 0 {
			if _, err := c.proc.Stat(hops[i-1].Child, h.TID); err != nil {
				return false
			}
		}
	}
	return true
}

// trusts tells whether a look agrees with the probe that nothing waits for us.
// It may have missed that a kernel thread asks for somebody's init, unless it
// knows that none has started what that thread does.
func (c *contest) trusts() bool {
	return c.last != nil && c.proof.picture == "" && c.suspect.picture == "" && c.last.AskersCleared(c.g.self.PID)
}

// others are the waits that the registry knows of and the kernel may not: in
// user space, and of those that are just about to submit a module that is
// somebody else's.
func (c *contest) others(d decider) ([]ancestry.Waiting, bool) {
	entries, err := c.g.reg.Read(c.proc)
	if err != nil {
		return nil, false
	}
	var all []ancestry.Waiting
	for i := range entries {
		e := &entries[i]
		if e.PID == c.g.self.PID || e.Module == "" {
			continue
		}
		if e.State == registry.StateLoad {
			if owner, coming := d.Loading(e.Module); !coming || owner == e.PID {
				continue
			}
		}
		if e.State == registry.StateLoad || e.State == registry.StateWait {
			all = append(all, ancestry.Waiting{PID: e.PID, Module: e.Module})
		}
	}
	return all, true
}

// probed makes a refusal of a chain of the probe's.
func (c *contest) probed(hops []ancestry.Link) *Refused {
	r := &Refused{Module: c.l.Module, Request: c.g.o.Request, PID: c.g.self.PID, Owner: hops[0].TID}
	if r.Request == "" {
		r.Request = c.l.Module
	}
	add := func(tid int, module, why string, certainty graph.Certainty) {
		h := graph.Hop{PID: tid, TID: tid, Module: module, Why: why, Certainty: certainty}
		if s, err := c.proc.ProcessStat(tid); err == nil {
			h.Comm = s.Comm
		}
		r.Chain = append(r.Chain, h)
	}
	add(c.g.self.PID, c.l.Module, "waits for "+c.l.Module, graph.Certain)
	for _, h := range hops {
		why := "waits in request_module(" + h.Request + ") for its helper " + proc.Itoa(h.Child)
		if h.Kthread || h.Work {
			by := "a kernel thread"
			if h.Work {
				by = "a work item"
			}
			add(h.TID, h.Module, "its init waits for what "+by+" does", graph.Certain)
			add(h.Requester, "", why, graph.Certain)
			continue
		}
		add(h.Requester, h.Module, why, graph.Certain)
	}
	return r
}
