// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/finit/unpack"
	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/plain"
)

func init() {
	commands = append(commands, command{
		name:    "diagnose",
		args:    "[--json | --dot | --svg] [--free]",
		summary: "tell why modprobe hangs, with nothing installed before",
		run:     runDiagnose,
	})
}

func runDiagnose(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("diagnose", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "one JSON object a line")
	asDot := flags.Bool("dot", false, "a graph for Graphviz")
	asSVG := flags.Bool("svg", false, "a picture")
	free := flags.Bool("free", false, "end the one load whose failing costs least")
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	if flags.NArg() > 0 {
		return misused("diagnose", stderr, "it takes no argument, not %q", flags.Arg(0))
	}
	if *asJSON && *asDot || *asSVG && (*asJSON || *asDot) {
		return misused("diagnose", stderr, "one of --json, --dot and --svg")
	}
	sv, err := survey.Examine(survey.Options{Unpack: unpack.InProcess})
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot look at the system's tasks: %v; a procfs is needed, and root\n", err)
		return exitError
	}
	moreStacks(sv)
	sv.LeaveUndecided()
	for _, f := range sv.Faults {
		plain.Fprintf(stderr, "safeload: %s\n", f)
	}
	switch {
	case *asJSON:
		err = surveyJSON(stdout, sv)
	case *asDot:
		printDot(stdout, sv)
	case *asSVG:
		err = writeSVG(stdout, sv)
	default:
		printDiagnosis(stdout, sv)
	}
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot write: %v\n", err)
		return exitError
	}
	if len(sv.Findings)+len(sv.Dead) == 0 {
		return exitOK
	}
	if *free {
		// The report's own format must stay what it is.
		out := stdout
		if *asJSON || *asDot || *asSVG {
			out = stderr
		}
		freeAll(out, sv)
	}
	return exitFound
}

// moreStacks asks a task iterator for the stacks of those on a circle that /proc
// does not show. Nothing rests on them but what a reader makes of them, and the
// kernel's types, which the iterator needs, take seconds to read on a slow
// machine: loads that only take their time are not worth that.
func moreStacks(sv *survey.Survey) {
	circle := make(map[int]bool)
	for _, f := range sv.Findings {
		for _, h := range f.Chain {
			circle[h.TID] = true
		}
	}
	var tids []int
	for _, t := range sv.Tasks {
		if circle[t.TID] && t.Stack == "" && t.State != 'R' {
			tids = append(tids, t.TID)
		}
	}
	if len(tids) == 0 {
		return
	}
	stacks, err := bpf.Stacks(tids)
	if err != nil {
		return
	}
	for i := range sv.Tasks {
		if t := &sv.Tasks[i]; t.Stack == "" {
			t.Stack = stacks[t.TID]
		}
	}
}

func printDiagnosis(w io.Writer, sv *survey.Survey) {
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
		printTree(w, sv)
	}
	var sys asked
	if len(sv.Findings) > 0 {
		sys = askedNow()
	}
	for _, f := range sv.Findings {
		printFinding(w, f, tasks, sys)
	}
	for i := range sv.Tasks {
		t := &sv.Tasks[i]
		if t.Role == survey.RoleLoad && !inCircle[t.TID] && t.Initstate == "coming" {
			where := "it runs"
			if t.Wchan != "" {
				where = "it sleeps in " + printable(t.Wchan)
			}
			plain.Fprintf(w, "\nSlow, not stuck as far as can be seen: the init of %s, %s: %s\n", printable(t.Module), title(t), where)
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

func printFinding(w io.Writer, f graph.Finding, tasks map[int]*survey.Seen, sys asked) {
	plain.Fprintf(w, "\nFOUND (%s): the load of %s waits for itself\n", f.Certainty, printable(f.Module))
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
	case f.Waiter == 0:
	case f.Ours:
		plain.Fprintf(w, "  to free it now: nothing to do, safeload (pid %d) is about to refuse it\n", f.Waiter)
	case f.Signal:
		plain.Fprintf(w, "  to free it now: kill -TERM %d   (its wait ends on a signal; the load that it waits for goes on)\n", f.Waiter)
	default:
		plain.Fprintf(w, "  to free it now: nothing can. Pid %d waits uninterruptibly (Linux 6.5 to 6.10 without 2124d84db293): only a reboot\n", f.Waiter)
	}
	if advice := forGood(f, tasks[f.Waiter], sys); advice != "" {
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

// freeAll ends the loads that have to fail, and prints what came of it.
func freeAll(w io.Writer, sv *survey.Survey) {
	sv, err := survey.Free(sv, survey.Options{Unpack: unpack.InProcess}, func(f survey.Freed) { printFreed(w, f) })
	if err != nil {
		plain.Fprintf(w, "free: cannot look again: %v\n", err)
		return
	}
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

// printFreed prints what came of one attempt.
func printFreed(w io.Writer, r survey.Freed) {
	pid, module := r.Finding.Waiter, printable(r.Finding.Module)
	switch r.Outcome {
	case survey.LeftToSafeload:
		plain.Fprintf(w, "free: %s left to safeload\n", module)
	case survey.NotSeen:
		plain.Fprintf(w, "free: cannot see pid %d: %v\n", pid, r.Err)
	case survey.NotHeld:
		plain.Fprintf(w, "free: pid %d: %v\n", pid, r.Err)
	case survey.NotLookedAgain:
		plain.Fprintf(w, "free: cannot look again: %v\n", r.Err)
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

// printDot writes a graph: tasks are boxes, waits are arrows, dashed when only
// likely, red on a circle; gray and dotted is what a wait could be for as well.
func printDot(w io.Writer, sv *survey.Survey) {
	red := make(map[[2]int]bool)
	circle := make(map[int]bool)
	for _, f := range sv.Findings {
		for i, h := range f.Chain {
			red[[2]int{h.TID, f.Chain[(i+1)%len(f.Chain)].TID}] = true
			circle[h.TID] = true
		}
	}
	fmt.Fprint(w, "digraph waits {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n  edge [fontname=\"sans-serif\", fontsize=9];\n"+
		"  labelloc=t; fontname=\"sans-serif\"; fontsize=11;\n")
	heading := "no load waits for itself"
	for i, f := range sv.Findings {
		if i == 0 {
			heading = ""
		}
		heading += fmt.Sprintf("the load of %s waits for itself (%s)\n", printable(f.Module), f.Certainty)
	}
	plain.Fprintf(w, "  label=%s;\n", dotString(heading))
	for i := range sv.Tasks {
		t := &sv.Tasks[i]
		color := ""
		if circle[t.TID] {
			color = ", color=red, penwidth=2"
		}
		plain.Fprintf(w, "  t%d [label=%s%s];\n", t.TID, dotString(title(t)+"\n"+dotLines.Replace(doing(t))), color)
	}
	for _, e := range sv.Edges {
		for i, to := range e.To {
			if i > 0 && !red[[2]int{e.From, to}] {
				plain.Fprintf(w, "  t%d -> t%d [style=dotted, color=gray, constraint=false];\n", e.From, to)
				continue
			}
			style := "solid"
			if e.Certainty.String() != "certain" || len(e.To) > 1 {
				style = "dashed"
			}
			color := "black"
			if red[[2]int{e.From, to}] {
				color = "red"
			}
			plain.Fprintf(w, "  t%d -> t%d [label=%s, style=%s, color=%s];\n", e.From, to, dotString(e.Why), style, color)
		}
	}
	fmt.Fprint(w, "}\n")
}

// dotLines keeps boxes narrow.
var dotLines = strings.NewReplacer("; ", "\n", ", asked", "\nasked")

func dotString(s string) string {
	b := []byte{'"'}
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < ' ':
			b = append(b, '?')
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
