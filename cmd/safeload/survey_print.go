// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"safeload/guard/graph"
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

// printTree prints who waits for whom: below each task what it waits for.
func printTree(w io.Writer, sv *survey.Survey) {
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

type deadJSON struct {
	Schema    int    `json:"schema"`
	Type      string `json:"type"`
	Module    string `json:"module"`
	Certainty string `json:"certainty"`
}

type taskJSON struct {
	Schema    int     `json:"schema"`
	Type      string  `json:"type"`
	Role      string  `json:"role,omitempty"`
	PID       int     `json:"pid"`
	TID       int     `json:"tid"`
	PPID      int     `json:"ppid"`
	Comm      string  `json:"comm"`
	Command   string  `json:"command,omitempty"`
	Kernel    bool    `json:"kernel_thread"`
	State     string  `json:"state"`
	Wchan     string  `json:"wchan,omitempty"`
	Call      string  `json:"call,omitempty"`
	Stack     string  `json:"stack,omitempty"`
	Module    string  `json:"module,omitempty"`
	File      string  `json:"file,omitempty"`
	Initstate string  `json:"initstate,omitempty"`
	Params    string  `json:"params,omitempty"`
	Request   string  `json:"request,omitempty"`
	Token     string  `json:"token,omitempty"`
	Parent    string  `json:"parent_token,omitempty"`
	Depth     int     `json:"depth"`
	Running   float64 `json:"running_s"`
	Asleep    float64 `json:"asleep_s,omitempty"`
	Since     float64 `json:"since_s,omitempty"`
}

type waitJSON struct {
	Schema    int    `json:"schema"`
	Type      string `json:"type"`
	From      int    `json:"from"`
	To        []int  `json:"to_any_of"`
	Certainty string `json:"certainty"`
	Why       string `json:"why"`
}

type findingJSON struct {
	Schema    int       `json:"schema"`
	Type      string    `json:"type"`
	Module    string    `json:"module"`
	Certainty string    `json:"certainty"`
	Waiter    int       `json:"waiter"`
	Signal    bool      `json:"signal_frees"`
	Chain     []hopJSON `json:"chain"`
}

type hopJSON struct {
	PID       int    `json:"pid"`
	TID       int    `json:"tid"`
	Comm      string `json:"comm"`
	Module    string `json:"module,omitempty"`
	Certainty string `json:"certainty"`
	Why       string `json:"why"`
}

type summaryJSON struct {
	Schema   int      `json:"schema"`
	Type     string   `json:"type"`
	Looked   int      `json:"tasks_looked_at"`
	Took     float64  `json:"took_s"`
	Findings int      `json:"findings"`
	Faults   []string `json:"not_seen,omitempty"`
}

// surveyJSON writes one object a line: tasks, waits, findings, a summary.
// Without the last one nothing found would look like nothing looked at.
func surveyJSON(w io.Writer, sv *survey.Survey) error {
	enc := json.NewEncoder(w)
	for _, t := range sv.Tasks {
		if err := enc.Encode(taskJSON{1, "task", t.Role, t.PID, t.TID, t.PPID, t.Comm, t.Command, t.Kernel, string(t.State),
			t.Wchan, t.Call, t.Stack, t.Module, t.File, t.Initstate, t.Params, t.Request, t.Token, t.Parent, t.Depth,
			t.Running.Seconds(), t.Asleep.Seconds(), t.Since.Seconds()}); err != nil {
			return err
		}
	}
	for _, e := range sv.Edges {
		if err := enc.Encode(waitJSON{1, "wait", e.From, e.To, e.Certainty.String(), e.Why}); err != nil {
			return err
		}
	}
	for _, f := range sv.Findings {
		j := findingJSON{1, "finding", f.Module, f.Certainty.String(), f.Waiter, f.Signal, nil}
		for _, h := range f.Chain {
			j.Chain = append(j.Chain, hopJSON{h.PID, h.TID, h.Comm, h.Module, h.Certainty.String(), h.Why})
		}
		if err := enc.Encode(j); err != nil {
			return err
		}
	}
	for _, m := range sv.Dead {
		if err := enc.Encode(deadJSON{1, "dead", m, graph.Certain.String()}); err != nil {
			return err
		}
	}
	return enc.Encode(summaryJSON{1, "summary", sv.Looked, sv.Took.Seconds(), len(sv.Findings) + len(sv.Dead), sv.Faults})
}
