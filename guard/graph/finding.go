// SPDX-License-Identifier: Apache-2.0

package graph

import "time"

// Hop is one wait of a chain, with what is known of the task that waits.
type Hop struct {
	PID, TID  int
	Comm      string
	Module    string // what it loads, if it does
	Why       string
	Certainty Certainty

	// What only those know who saw it happen.
	What    string        // one of the constants below
	Request string        // for which module it asks
	Via     string        // how the request came out of a load
	How     string        // on which path it waits
	FD      int           // of the file that it loads, -1 none
	File    string        // of FD
	For     time.Duration // for how long
	Cgroup  uint64
	Token   string // of the guard's invocation
}

// What a hop is.
const (
	HopLoad    = "load"    // a task is in a load
	HopRequest = "request" // somebody asks for a module on its behalf
	HopHelper  = "helper"  // the kernel started a child for the request
	HopProcess = "process" // that child's descendant
	HopWait    = "wait"    // a load waits for another, or for the chain's first
)

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

	// In a circle without a load that waits for another nobody need fail to be
	// freed but who asked, whose request SIGKILL ends.
	Kind   Kind
	Asker  int  // process that asked, 0 if that is not seen
	Kernel bool // it is a kernel thread, which no signal reaches
}

// Victim returns the process that had best be ended, 0 if it is not known.
func (f *Finding) Victim() int {
	if f.Kind != Recursion {
		return f.Asker
	}
	return f.Waiter
}

// Kind is what a circle is closed by.
type Kind uint8

// The kinds of circles.
const (
	Recursion Kind = iota // a load waits for a load
	Lock                  // a load waits for a lock of who asked for it
	Queue                 // for a work item, or all of a queue
	Async                 // for a function given to async_schedule(): the module may be live
)

func (k Kind) String() string { return [...]string{"recursion", "lock", "queue", "async"}[k] }

// Wait says what the load of a circle of this kind waits for.
func (k Kind) Wait() string {
	switch k {
	case Lock:
		return "waits for a lock of the one who asked for it"
	case Queue:
		return "waits for the work item that asked for it"
	case Async:
		return "waits for the async function that asked for it"
	}
	return "waits for itself"
}

// Holding is a lock that a thread waits for, and who holds it.
type Holding struct {
	PID, TID  int    // of the holder
	Kind      string // of lock: "mutex", "rw_semaphore", "lock"
	Certainty Certainty
}
