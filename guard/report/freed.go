// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"

	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/plain"
)

// Freed prints what came of one attempt.
func Freed(w io.Writer, r survey.Freed) {
	pid, module := r.Finding.Waiter, printable(r.Finding.Module)
	switch r.Outcome {
	case survey.LeftToSafeload:
		plain.Fprintf(w, "free: %s left to safeload\n", module)
	case survey.LeftToReader:
		plain.Fprintf(w, "free: the load of %s is left: %s\n", module, freeAsker(r.Finding))
	case survey.NotSeen:
		plain.Fprintf(w, "free: cannot see pid %d: %v\n", pid, r.Err)
	case survey.NotHeld:
		plain.Fprintf(w, "free: pid %d: %v\n", pid, r.Err)
	case survey.NotLookedAgain:
		plain.Fprintf(w, "free: cannot survey again: %v\n", r.Err)
	case survey.EndedByItself:
		plain.Fprintf(w, "free: pid %d has ended by itself\n", pid)
	case survey.WaitsNoLonger:
		plain.Fprintf(w, "free: pid %d no longer waits for %s", pid, module)
		if r.Task != nil {
			plain.Fprintf(w, ": %s", doing(r.Task))
		}
		fmt.Fprintln(w)
	case survey.NotOnCircle:
		plain.Fprintf(w, "free: pid %d still waits, but for itself no longer, and is left alone: %s\n", pid, doing(r.Task))
	case survey.NotSignalled:
		plain.Fprintf(w, "free: signal %d to pid %d: %v\n", r.Signal, pid, r.Err)
	case survey.Ended:
		plain.Fprintf(w, "free: ended pid %d (%s), which waited for %s, by signal %d: that one load failed, the rest goes on\n",
			pid, printable(r.Comm), module, r.Signal)
	case survey.StaysForReboot:
		plain.Fprintf(w, "free: pid %d does not end on SIGKILL: this kernel's wait cannot be left, reboot\n", pid)
	}
}

// LeftToFree prints what is left to free after all attempts.
func LeftToFree(w io.Writer, sv *survey.Survey) {
	for _, m := range sv.Dead {
		fmt.Fprintf(w, "free: nothing can end the load of %s: nobody runs its init any more; reboot\n", printable(m))
	}
	left := slices.DeleteFunc(slices.Clone(sv.Findings), func(f graph.Finding) bool { return f.Ours })
	switch {
	case len(sv.Findings) == 0:
		fmt.Fprint(w, "free: no load waits for itself any more\n")
	case len(left) > 0:
		plain.Fprintf(w, "free: %d still wait for themselves: look again with safeload diagnose\n", len(left))
	}
}
