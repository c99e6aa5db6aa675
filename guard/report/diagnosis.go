// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/plain"
)

// Diagnosis prints who waits for whom, and what would free them. advise
// tells how to keep a finding from coming again, or nothing.
func Diagnosis(w io.Writer, sv *survey.Survey, advise func(f graph.Finding, waiter *survey.Seen) string) {
	var u unix.Utsname
	_ = unix.Uname(&u)
	plain.Fprintf(w, "Linux %s %s, %d tasks looked at in %.2f s\n", unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Machine[:]), sv.Looked, sv.Took.Seconds())
	tasks := make(map[int]*survey.Seen)
	inCircle := make(map[int]bool)
	for i := range sv.Tasks {
		tasks[sv.Tasks[i].TID] = &sv.Tasks[i]
	}
	for _, f := range sv.Findings {
		for _, h := range f.Chain {
			inCircle[h.TID] = true
		}
	}
	if len(sv.Tasks) > 0 {
		fmt.Fprint(w, "\nWho waits for whom:\n")
		Tree(w, sv)
	}
	for _, f := range sv.Findings {
		printFinding(w, f, tasks, advise)
	}
	printBehind(w, sv, inCircle)
	for i := range sv.Tasks {
		t := &sv.Tasks[i]
		if t.Role == survey.RoleLoad && !inCircle[t.TID] && t.Initstate == "coming" {
			where := "it runs"
			if t.Wchan != "" {
				where = "it sleeps in " + printable(t.Wchan)
			}
			plain.Fprintf(w, "\n%s: the init of %s, %s: %s\n", slow(sv, t), printable(t.Module), title(t), where)
		}
	}
	if len(sv.Dead) > 0 {
		fmt.Fprintln(w)
		printDead(w, sv)
	}
	throttled := 0
	for i := range sv.Tasks {
		if sv.Tasks[i].Role == survey.RoleThrottled {
			throttled++
		}
	}
	if throttled > 0 {
		plain.Fprintf(w, "\nThe kernel's limit of 50 requests at once is reached: %d more wait for a turn (__request_module in kernel/module/kmod.c).\n"+
			"  Each fails after 5 s, as if its module did not exist, unless one of the 50 ends before.\n", throttled)
	}
	switch {
	case len(sv.Findings) > 0:
	case len(sv.Faults) > 0:
		fmt.Fprint(w, "\nNo load is seen to wait for itself, but not all could be seen.\n")
	default:
		fmt.Fprint(w, "\nNo load waits for itself.\n")
	}
}

// slow is what can be said of a load that is on no circle.
func slow(sv *survey.Survey, t *survey.Seen) string {
	if sv.NoLocks != nil && t.State == 'D' && t.Asleep >= survey.LockedAfter {
		return "Slow or stuck, which cannot be told. If it waits for a lock, who holds that is not seen (" + printable(sv.NoLocks.Error()) + ")"
	}
	return "Slow, not stuck as far as can be seen"
}

func printFinding(w io.Writer, f graph.Finding, tasks map[int]*survey.Seen,
	advise func(f graph.Finding, waiter *survey.Seen) string) {
	plain.Fprintf(w, "\nFOUND (%s): the load of %s %s\n", f.Certainty, printable(f.Module), f.Kind.Wait())
	for i, h := range f.Chain {
		t := tasks[h.TID]
		if t == nil {
			continue
		}
		next := f.Chain[(i+1)%len(f.Chain)].TID
		plain.Fprintf(w, "  %s\n      %s for pid %d (%s)\n", title(t), h.Why, next, h.Certainty)
		plain.Fprintf(w, "      evidence: state %c", t.State)
		if t.Wchan != "" {
			plain.Fprintf(w, ", in %s", printable(t.Wchan))
		}
		if t.Call != "" {
			plain.Fprintf(w, ", system call %s", t.Call)
		}
		if t.File != "" {
			plain.Fprintf(w, ", file %s", printable(t.File))
		}
		if !t.Kernel {
			plain.Fprintf(w, ", parent %d", t.PPID)
		}
		fmt.Fprintln(w)
		for _, line := range stackLines(t.Stack) {
			plain.Fprintf(w, "        %s\n", printable(line))
		}
		if how := heldBy(t); how != "" {
			plain.Fprintf(w, "      held by: %s\n", how)
		}
	}
	switch {
	case f.Kind != graph.Recursion:
		plain.Fprintf(w, "  to free it now: %s\n", freeAsker(f))
		if f.Kind == graph.Async {
			fmt.Fprint(w, "      (async_synchronize_full, in which each load ends, takes no signal, nor does a worker)\n")
		}
	case f.Waiter == 0:
	case f.Ours:
		plain.Fprintf(w, "  to free it now: nothing to do, safeload (pid %d) is about to refuse it\n", f.Waiter)
	case f.Signal:
		plain.Fprintf(w, "  to free it now: kill -TERM %d   (its wait ends on a signal; the load that it waits for goes on)\n", f.Waiter)
	default:
		plain.Fprintf(w, "  to free it now: nothing can. Pid %d waits uninterruptibly (Linux 6.5 to 6.10 without 2124d84db293): only a reboot\n", f.Waiter)
	}
	if advice := advise(f, tasks[f.Waiter]); advice != "" {
		plain.Fprintf(w, "  for good: %s\n", advice)
	}
	if known := knownCases[f.Module]; known != "" {
		plain.Fprintf(w, "      known case: %s\n", known)
	}
}

// knownCases are recursions whose cause has been found.
var knownCases = map[string]string{
	"aes_arm_bs": "its init needs a fallback for what it gives itself; mended upstream, see cb5b81bc9a44 (crypto: arm/aes-neonbs)",
	"tcrypt":     "it requests whatever its parameter alg= says; give it a name that does not lead back to it",
}

// heldBy names the way in which the kernel lets a load wait.
func heldBy(t *survey.Seen) string {
	switch {
	case t.Role == survey.RoleRequest || t.Wchan == "call_usermodehelper_exec":
		return "request_module, until its helper ends (SIGKILL alone ends this wait)"
	case t.Duplicate:
		return "request_module, until an earlier request for the same name ends (MODULE_DEBUG_AUTOLOAD_DUPS; SIGKILL alone ends this wait)"
	case t.Role == survey.RoleThrottled:
		return "the kernel's limit of 50 requests at once, for 5 s at most"
	case t.Role == survey.RoleSymbol:
		return "a symbol of a module that is coming, for 30 s at most (resolve_symbol_wait)"
	case t.Role == survey.RoleWait && t.Call == "finit_module":
		return "a load of the same file or name is not over (idempotent_init_module since 6.5, else finished_loading)"
	case t.Role == survey.RoleWait && t.Call == "init_module":
		return "a load of the same name is not over (finished_loading)"
	case t.Role == survey.RoleWait:
		return "safeload, which waits in user space"
	}
	return ""
}

func stackLines(s string) []string {
	var lines []string
	for len(s) > 0 && len(lines) < 8 {
		line := s
		for i := range len(s) {
			if s[i] == '\n' {
				line = s[:i]
				break
			}
		}
		s = s[min(len(line)+1, len(s)):]
		lines = append(lines, line)
	}
	return lines
}
