// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"maps"

	"safeload/guard/graph"
)

// Waits is what a snapshot shows of who waits for whom: what can be read in the
// facts, with how certain it is.
type Waits struct {
	*Snapshot

	memory *memory
	bold   bool // the settings want suspicion on less evidence
	dups   bool // what repeats a request is taken to wait for its helper: to show, not to refuse by

	ByProbe         map[int]bool    // owners whose wait for a kernel thread rests on the probe
	mayHelp         map[int][]*Task // candidates, by requester
	LikeliestHelper map[int]*Task   // the likeliest helper of each requester; nil: not asked yet
	loaders         map[int]bool    // processes with a thread in a load; nil: not asked yet

	Pollers      map[int]bool // tasks of commands that may ask again and again
	PollerWorked bool         // one of them was found at work

	bearings map[bearing]bool

	holds   map[int]graph.Holding // by thread id: the lock that it waits for, where that was asked
	mayHold map[int][]graph.ID    // who may hold it, where that cannot be asked
}

// Reading is how a snapshot is turned into waits.
type Reading uint8

const (
	Exact   Reading = iota // only what cannot be otherwise
	Best                   // and what the evidence speaks for
	Paired                 // and each requester has the one helper that fits best: to show, not to judge by
	Patient                // and that a command which polls waits for what it started
)

// memory is what looks of one observer leave for the next. Each look has a copy of
// its own: one that is begun anew (see [proc.FS.Bounded]) leaves nothing.
type memory struct {
	rivals  map[[3]uint64]rivals // by the manager's thread, its start, and the thread whose init it is about
	flushes map[int]flush        // by the thread that flushes
}

// forNextLook is a copy for another look.
func (m *memory) forNextLook() *memory {
	next := &memory{rivals: make(map[[3]uint64]rivals), flushes: make(map[int]flush)}
	if m == nil {
		return next
	}
	maps.Copy(next.rivals, m.rivals)
	for tid, f := range m.flushes {
		f.counted = false
		next.flushes[tid] = f
	}
	return next
}

// flush is an init's wait for work: at some looks no other workers were busy
// than these, which asked. Since none of them has moved.
type flush struct {
	start, switches uint64
	workers         map[int]uint64 // switches, by thread id; written once
	looks           int
	counted         bool // this look is one of them
}

type bearing struct {
	tid    int
	module string
}
