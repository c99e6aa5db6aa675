// SPDX-License-Identifier: Apache-2.0

// Package report writes what a survey has found: as text for people, as JSON (one
// object a line), as a graph for Graphviz and as a picture. What others have
// chosen is made plain here, and nowhere before.
package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"safeload/guard/survey"
	"safeload/internal/plain"
)

func printable(s string) string { return plain.Text(s) }

// title is a task in a few words.
func title(t *survey.Seen) string {
	kind := "pid"
	if t.Kernel {
		kind = "kernel thread"
	} else if t.TID != t.PID {
		kind = fmt.Sprintf("pid %d thread", t.PID)
	}
	name := t.Comm
	if t.Command != "" {
		name = t.Command
	}
	return fmt.Sprintf("%s %d %s", kind, t.TID, printable(shortened(name, 60)))
}

func shortened(s string, most int) string {
	if len(s) > most {
		return s[:most-3] + "..."
	}
	return s
}

// doing is what a task does as far as loading goes.
func doing(t *survey.Seen) string {
	var b strings.Builder
	switch t.Role {
	case survey.RoleLoad:
		plain.Fprintf(&b, "loads %s (%s)", printable(t.Module), t.Initstate)
	case survey.RoleWait:
		plain.Fprintf(&b, "waits for another's load of %s (%s)", printable(t.Module), t.Initstate)
	case survey.RoleSymbol:
		plain.Fprintf(&b, "loads %s, waits at most 30 s for a symbol", printable(t.Module))
	case survey.RoleRequest:
		b.WriteString("waits for the helper it asked the kernel for")
	case survey.RoleThrottled:
		b.WriteString("one of more than 50 that ask the kernel at once: waits 5 s at most")
	case survey.RoleDuplicate:
		b.WriteString("repeats a request of another, and waits for that one's helper")
	case survey.RoleHelper:
		b.WriteString("helper of the kernel")
	case survey.RoleCommand:
		b.WriteString("runs a command of the configuration")
	case survey.RoleShell:
		b.WriteString("belongs to that command")
	default:
		b.WriteString("waits")
	}
	if t.Params != "" {
		plain.Fprintf(&b, " with %s", shortened(printable(t.Params), 60))
	}
	if t.Request != "" && t.Request != t.Module {
		plain.Fprintf(&b, ", asked for %s", printable(t.Request))
	}
	if t.Since > 0 {
		plain.Fprintf(&b, ", for %s now", seconds(t.Since))
	}
	if t.Wchan != "" {
		plain.Fprintf(&b, "; sleeps in %s", printable(t.Wchan))
	}
	if t.Asleep > 0 {
		plain.Fprintf(&b, " for %s", seconds(t.Asleep))
	} else if t.Running > 0 && !t.Kernel && t.Since == 0 {
		plain.Fprintf(&b, ", runs for %s", seconds(t.Running))
	}
	return b.String()
}

// descent is from which invocation's command another one comes.
func descent(t *survey.Seen, owner map[string]int) string {
	if t.Parent == "" {
		return ""
	}
	s := fmt.Sprintf(", depth %d, from a command of %s", t.Depth, t.Parent)
	if pid := owner[t.Parent]; pid != 0 {
		return fmt.Sprintf("%s (pid %d)", s, pid)
	}
	return s + " (ended)"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// Tree prints who waits for whom: below each task what it waits for.
func Tree(w io.Writer, sv *survey.Survey) {
	tasks := make(map[int]*survey.Seen)
	for i := range sv.Tasks {
		tasks[sv.Tasks[i].TID] = &sv.Tasks[i]
	}
	waits := make(map[int][]survey.Edge)
	waited := make(map[int]bool)
	for _, e := range sv.Edges {
		waits[e.From] = append(waits[e.From], e)
		for _, to := range e.To {
			if to != e.From {
				waited[to] = true
			}
		}
	}
	owner := make(map[string]int)
	for i := range sv.Tasks {
		if t := &sv.Tasks[i]; t.Token != "" {
			owner[t.Token] = t.PID
		}
	}
	shown := make(map[int]bool)
	var show func(tid int, indent, why string)
	show = func(tid int, indent, why string) {
		t := tasks[tid]
		if t == nil {
			plain.Fprintf(w, "%s%spid %d\n", indent, why, tid)
			return
		}
		if shown[tid] {
			plain.Fprintf(w, "%s%s%s, see above\n", indent, why, title(t))
			return
		}
		shown[tid] = true
		plain.Fprintf(w, "%s%s%s\n%s    %s\n", indent, why, title(t), indent, doing(t))
		if t.Token != "" {
			plain.Fprintf(w, "%s    token %s%s\n", indent, t.Token, descent(t, owner))
		}
		for _, e := range waits[tid] {
			for _, to := range e.To[:min(1, len(e.To))] {
				show(to, indent+"  ", "-> "+e.Why+" ("+e.Certainty.String()+"): ")
			}
			if len(e.To) > 1 {
				plain.Fprintf(w, "%s     or, as that cannot be seen for certain: pid %s\n", indent, pids(e.To[1:]))
			}
		}
	}
	for _, wantFree := range []bool{true, false} { // then those in circles alone
		for i := range sv.Tasks {
			tid := sv.Tasks[i].TID
			if !shown[tid] && (!waited[tid] || !wantFree) {
				show(tid, "", "")
			}
		}
	}
}

func pids(list []int) string {
	var b strings.Builder
	for i, pid := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, pid)
	}
	return b.String()
}

// printDead says which modules are lost until the next boot.
func printDead(w io.Writer, sv *survey.Survey) {
	for _, m := range sv.Dead {
		plain.Fprintf(w, "FOUND (certain): nobody runs the init of %s any more\n"+
			"  an oops has ended the task that did (see the kernel's log), and the module stays coming: it can neither be\n"+
			"  loaded nor removed. Whoever waits for it in the kernel waits in vain; a signal ends that. Reboot to load it\n", printable(m))
	}
}
