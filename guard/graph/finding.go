// SPDX-License-Identifier: Apache-2.0

package graph

// Hop is one wait of a chain, with what is known of the task that waits.
type Hop struct {
	PID, TID  int
	Comm      string
	Module    string // what it loads, if it does
	Why       string
	Certainty Certainty
}

// Chain is waits in order, each for the next one's task; the last one is for the
// first.
type Chain []Hop

// Finding is a circle of waits. Nothing in it moves unless one of its loads
// fails.
type Finding struct {
	Module    string // the one load that had best fail
	Certainty Certainty
	Chain     Chain
	Waiter    int  // process whose failing costs least
	Signal    bool // a signal reaches it there; otherwise only a reboot helps
	Ours      bool // it is safeload itself, about to decide
}
