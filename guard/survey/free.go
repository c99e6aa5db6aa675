// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"safeload/guard/graph"
	"safeload/internal/conf"
	"safeload/internal/proc"
)

// Outcome is what came of the attempt to end one waiter.
type Outcome uint8

// The outcomes. But for the last two nobody was ended.
const (
	LeftToSafeload Outcome = iota // a safeload is about to decide, or nobody can be ended
	LeftToReader                  // no load waits for another: only who asked could be ended, and he may be anybody
	NotSeen                       // Err: the process cannot be seen
	NotHeld                       // Err: no descriptor of the process can be had
	NotLookedAgain                // Err: a second survey failed
	EndedByItself                 // the process is gone, or another has its number
	WaitsNoLonger                 // it waits for no load any more; Task, if it is seen at all
	NotOnCircle                   // it waits, but not for itself any more; Task
	NotSignalled                  // Err: Signal could not be sent
	Ended                         // by Signal
	StaysForReboot                // not even SIGKILL ends it
)

// Freed is one attempt to end the waiter of a finding.
type Freed struct {
	Finding graph.Finding
	Outcome Outcome
	Comm    string         // of the process, where it was ended
	Signal  syscall.Signal // the last one that was sent, or could not be
	Task    *Seen          // what it does now
	Err     error
}

// Free ends the one load of each finding that costs least, and tells what came of
// each. After each it looks again: which helper is whose cannot always be told,
// and the end of one may have freed the others. It returns the last survey.
func Free(sv *Survey, o Options, tell func(Freed)) (*Survey, error) {
	tried := make(map[[2]int]bool)
	who := func(f graph.Finding) [2]int { return [2]int{f.Waiter, f.Asker} }
	for {
		i := slices.IndexFunc(sv.Findings, func(f graph.Finding) bool { return !tried[who(f)] })
		if i < 0 {
			return sv, nil
		}
		tried[who(sv.Findings[i])] = true
		tell(freeOne(sv, o, sv.Findings[i]))
		again, err := Examine(o)
		if err != nil {
			return sv, err
		}
		sv = again
		sv.LeaveUndecided()
	}
}

// LeaveUndecided takes back that a safeload which waits is about to decide, where
// safeload.conf(5) has it wait for ever, or go on to wait in the kernel.
func (sv *Survey) LeaveUndecided() {
	s := conf.Read(func(string) {})
	never := s.Patience == 0 || s.Policy == conf.Proven
	for i := range sv.Findings {
		if f := &sv.Findings[i]; f.Certainty != graph.Certain && never || s.Policy == conf.Observe {
			f.Ours = false
		}
	}
}

// How long a process may take to end on each signal.
const (
	endTries = 40
	endGap   = 50 * time.Millisecond
)

// freeOne ends the waiter of a finding: by SIGTERM, then by SIGKILL.
func freeOne(sv *Survey, o Options, f graph.Finding) Freed {
	r := Freed{Finding: f}
	failed := func(what Outcome, err error) Freed {
		r.Outcome, r.Err = what, err
		return r
	}
	if f.Kind != graph.Recursion {
		return failed(LeftToReader, nil)
	}
	if f.Waiter == 0 || f.Ours {
		return failed(LeftToSafeload, nil)
	}
	p, err := proc.OpenProc()
	if err != nil {
		return failed(NotSeen, err)
	}
	defer p.Close()
	fd, err := unix.PidfdOpen(f.Waiter, 0)
	if err == unix.ESRCH {
		return failed(EndedByItself, nil)
	}
	if err != nil {
		return failed(NotHeld, err)
	}
	defer unix.Close(fd)
	// What the descriptor holds must be the process that was looked at, and
	// must still wait: to print the report may have taken any time.
	was, err := p.BoundedStat(f.Waiter)
	if err == nil && was.Held {
		err = proc.ErrHeld
	}
	if err != nil && err != unix.ENOENT && err != unix.ESRCH {
		return failed(NotSeen, err)
	}
	if t := sv.taskOf(f.Waiter); err != nil || was.Gone() || t != nil && was.Start != t.Start {
		return failed(EndedByItself, nil)
	}
	now, err := Examine(o)
	if err != nil {
		return failed(NotLookedAgain, err)
	}
	switch t := now.taskOf(f.Waiter); {
	case t == nil || t.Start != was.Start:
		return failed(WaitsNoLonger, nil)
	case t.Role != RoleWait && !t.Duplicate:
		r.Task = t
		return failed(WaitsNoLonger, nil)
	case !slices.ContainsFunc(now.Findings, func(n graph.Finding) bool {
		return n.Waiter == f.Waiter || n.Module == f.Module && onChain(n.Chain, f.Waiter)
	}):
		r.Task = t
		return failed(NotOnCircle, nil)
	}
	r.Comm = was.Comm
	for _, r.Signal = range []syscall.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, r.Signal, nil, 0); err != nil {
			return failed(NotSignalled, err)
		}
		for range endTries {
			if s, err := p.BoundedStat(f.Waiter); err != nil || s.Gone() || !s.Held && s.Start != was.Start {
				r.Outcome = Ended
				return r
			}
			time.Sleep(endGap)
		}
	}
	r.Outcome = StaysForReboot
	return r
}

// taskOf returns what a survey shows of a process: where it waits for a load, if
// it does. Which module that is may have been learned only since.
func (sv *Survey) taskOf(pid int) *Seen {
	var found *Seen
	for i := range sv.Tasks {
		if t := &sv.Tasks[i]; t.PID == pid && (found == nil || t.Role == RoleWait || t.Duplicate) {
			found = t
		}
	}
	return found
}

// onChain tells whether a process waits on a circle. Who of it had best be ended may
// change from one look to the next.
func onChain(c graph.Chain, pid int) bool {
	return slices.ContainsFunc(c, func(h graph.Hop) bool { return h.PID == pid })
}
