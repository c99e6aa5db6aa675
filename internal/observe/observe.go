// SPDX-License-Identifier: Apache-2.0

// Package observe looks at everybody in /proc: which tasks load a module, ask for
// one, help or wait. It keeps no time and decides nothing.
//
// A [Snapshot] is the facts of one look. [Waits] is what can be read in them: who
// waits for whom, and how certain that is, as a [graph.System].
package observe

import (
	"safeload/finit"
	"safeload/internal/clock"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// Observer is what a system is looked at with.
type Observer struct {
	Proc, Sys   *proc.FS
	Probe       Ancestry
	Unpack      finit.Unpacker            // of compressed files
	Names       map[registry.Inode]string // of modules whose file was read before
	memory      *memory
	Bold        bool   // see [conf.Bold]
	ShowRepeats bool   // see Waits
	BootAhead   *int64 // of a made-up system: how far boot time is ahead of the scheduler's clock
}

// Look reads every task. What has ended meanwhile is left out. registered says
// that the entries come from a registry that works.
func (o *Observer) Look(entries []registry.Entry, registered bool) *Waits {
	p, sys := o.Proc, o.Sys
	if o.Names == nil {
		o.Names = make(map[registry.Inode]string)
	}
	s := &Snapshot{
		Proc:        p,
		sys:         sys,
		ahead:       o.BootAhead,
		busyWorkers: make(map[int]*Task),
		names:       o.Names,
		Tasks:       make(map[int]*Task, 256),
		Workers:     make(map[int]bool, 64),
		Children:    make(map[int][]int, 64),
		Entries:     make(map[int]*registry.Entry, len(entries)),
		Coming:      make(map[string]bool),
		Now:         clock.Boot(),
	}
	for i := range entries {
		s.Entries[entries[i].PID] = &entries[i]
	}
	w := o.newWaits(s)
	if p == nil {
		return w
	}
	_ = p.PIDs(func(pid int) bool {
		s.readProcess(pid)
		return true
	})
	s.readAncestors()
	s.readStarts()
	for pid, e := range s.Entries {
		// It may have ended since the registry was read.
		if t := s.Tasks[pid]; t == nil || t.Gone() || e.Start != 0 && t.ProcessStart != e.Start {
			delete(s.Entries, pid)
		}
	}
	s.readAnnounced(!registered)
	s.shareNames()
	// Read last which modules are coming. A module that is coming now was
	// coming, or not yet there, at all of the reads above; a module that has
	// gone live waits for nobody.
	isComing := func(name string) {
		if _, asked := s.Coming[name]; name == "" || asked {
			return
		}
		s.Coming[name] = s.StateOf(name) == proc.Coming
	}
	for _, t := range s.Tasks {
		isComing(t.Module)
	}
	for _, e := range s.Entries {
		isComing(e.Module)
	}
	s.unpackNames(o.Unpack)
	for _, t := range s.Tasks {
		isComing(t.Module)
	}
	s.findHiddenWaits()
	if o.Probe != nil {
		s.askProbe(o.Probe)
	}
	return w
}

// newWaits are those of a snapshot that this observer has taken.
func (o *Observer) newWaits(s *Snapshot) *Waits {
	o.memory = o.memory.forNextLook()
	return &Waits{
		Snapshot: s,
		memory:   o.memory,
		bold:     o.Bold,
		dups:     o.ShowRepeats,
		ByProbe:  make(map[int]bool),
		mayHelp:  make(map[int][]*Task),
		Pollers:  make(map[int]bool),
	}
}
