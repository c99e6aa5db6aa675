// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/internal/plain"
)

// dearest is how many of the loads that cost most are named.
const dearest = 10

// result is what a load's call returned, in words.
func (o *Load) result() string {
	if !o.Ended {
		return "not over"
	}
	return live.Result(o.Ret)
}

func (o *Load) name() string { return orUnknown(o.Module) }

func (q *Request) name() string {
	if q.Name == "" {
		return "(no module)"
	}
	return q.Name
}

func orUnknown(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return s
}

// words says what a step of the critical path is.
func (s *Step) words() string {
	switch s.What {
	case "wait":
		return plain.Sprintf("%s[%d], for %s: it %s", s.Load.Comm, s.Load.TID, s.Load.name(), phases[s.How])
	case "init":
		return plain.Sprintf("the init of %s runs, in %s[%d]", s.Load.name(), s.Load.Comm, s.Load.TID)
	case "load":
		return plain.Sprintf("%s is read and linked, by %s[%d]", s.Load.name(), s.Load.Comm, s.Load.TID)
	case "between":
		return plain.Sprintf("%s[%d], after %s", s.Load.Comm, s.Load.PID, s.Load.name())
	}
	if s.Request == nil {
		return plain.Sprintf("%s waits, in %s[%d]", s.Load.name(), s.Load.Comm, s.Load.TID)
	}
	by := "its helper"
	if s.Request.Helper != 0 {
		by = fmt.Sprintf("helper %d", s.Request.Helper)
	}
	return plain.Sprintf("%s[%d] asks for %s: %s", s.Request.Comm, s.Request.TID, s.Request.name(), by)
}

func (t *Timeline) since(at time.Duration) string {
	return fmt.Sprintf("%.6f", (at - t.From).Seconds())
}

func millis(d time.Duration) string { return fmt.Sprintf("%.3f ms", float64(d.Microseconds())/1000) }

// heading is what the record is of, and what it lacks.
func (t *Timeline) heading() (lines []string) {
	failed, found := 0, 0
	for _, o := range t.Loads {
		if o.Ended && o.Ret < 0 {
			failed++
		}
		if o.Found != 0 {
			found++
		}
	}
	lines = append(lines,
		plain.Sprintf("Linux %s %s, %s, seen by %s, from %.3f s after boot", t.Start.Release, t.Start.Machine, t.Start.Time.UTC().Format("2006-01-02 15:04:05 UTC"), t.Start.Source, t.From.Seconds()),
		fmt.Sprintf("%d loads (%d failed, %d found to wait for themselves) and %d requests in %.3f s", len(t.Loads), failed, found, len(t.Requests), (t.To-t.From).Seconds()))
	if len(t.Start.Missing) > 0 {
		lines = append(lines, "not seen on this kernel: "+plain.Text(strings.Join(t.Start.Missing, "; ")))
	}
	if kinds := t.untold(); len(kinds) > 0 {
		lines = append(lines, "not told apart in this record: "+strings.Join(kinds, ", "))
	}
	if t.Lost > 0 {
		lines = append(lines, fmt.Sprintf("%d events lost: loads, requests and waits may be missing, or seem not to end", t.Lost))
	}
	switch {
	case t.Full:
		lines = append(lines, "the record got too large, and ends before its watch did")
	case !t.Whole:
		lines = append(lines, "the record was cut short")
	}
	return lines
}

// WriteText writes all loads and requests by time, the critical path and what cost most.
func WriteText(w io.Writer, t *Timeline) error {
	b := bufio.NewWriter(w)
	for _, l := range t.heading() {
		fmt.Fprintln(b, l)
	}
	fmt.Fprintf(b, "\nLoads, by their beginning (s after the first)\n")
	for _, o := range t.Loads {
		plain.Fprintf(b, "%12s  %-24s %s[%d]: %s in %s", t.since(o.Begin), o.name(), o.Comm, o.TID, o.result(), millis(o.Took()))
		if o.Init != 0 {
			plain.Fprintf(b, ", its init after %s", millis(o.Init-o.Begin))
		}
		if q := o.Asked; q != nil {
			plain.Fprintf(b, "; %s[%d] asked for %s", q.Comm, q.TID, q.name())
		}
		if r := o.Why.words(); r != "" {
			plain.Fprintf(b, "; %s", plain.Safe(r))
		}
		if o.Found != 0 {
			plain.Fprintf(b, "; waits for itself (%s)", live.Word(o.Found))
		}
		if s := o.Who.String(); s != "" {
			plain.Fprintf(b, "; %s", s)
		}
		fmt.Fprintln(b)
		for i := range o.Waits {
			wait := &o.Waits[i]
			plain.Fprintf(b, "%12s    %s\n", "", plain.Safe(wait.text()))
		}
	}
	fmt.Fprintf(b, "\nRequests, by their beginning\n")
	for _, q := range t.Requests {
		plain.Fprintf(b, "%12s  %-24s %s[%d]: %s in %s\n", t.since(q.Begin), q.name(), q.Comm, q.TID, q.outcome(), millis(q.End-q.Begin))
	}
	fmt.Fprintf(b, "\nCritical path\n")
	steps := t.Critical()
	for i := range steps {
		plain.Fprintf(b, "%12s  %12s  %s\n", t.since(steps[i].From), millis(steps[i].To-steps[i].From), plain.Safe(steps[i].words()))
	}
	if len(steps) == 0 {
		fmt.Fprintln(b, "  no load became live")
	}
	fmt.Fprintf(b, "\nThe loads that cost most by themselves\n")
	for _, o := range t.Dearest(dearest) {
		plain.Fprintf(b, "%12s  %s by %s[%d], of %s in all\n", millis(o.Own()), o.name(), o.Comm, o.TID, millis(o.Took()))
	}
	return b.Flush()
}

// phases say what a load's task does for a time.
var phases = map[string]string{
	bpf.PhaseDisk:       "reads a file",
	bpf.PhaseDecompress: "is decompressed",
	bpf.PhaseSymbol:     "waits for a symbol of a module that is loading",
	bpf.PhaseLock:       "waits for a lock",
	bpf.PhaseAsync:      "waits for async functions",
	bpf.PhaseAsleep:     "sleeps",
}

// text says how long a wait takes, and what it is for.
func (w *Wait) text() string {
	took := millis(w.To - w.From)
	switch phase := phases[w.How]; {
	case phase != "":
		return phase + " for " + took
	case w.Request != nil:
		return plain.Sprintf("waits %s for its request %s", took, w.Request.name())
	case w.For != nil:
		return plain.Sprintf("waits %s for the load of %s by %s[%d] (same %s)", took, w.For.name(), w.For.Comm, w.For.TID, strings.TrimSuffix(w.How, "-uninterruptible"))
	}
	return plain.Sprintf("waits %s for another load of %s (same %s)", took, orUnknown(w.Name), strings.TrimSuffix(w.How, "-uninterruptible"))
}

// untold are the kinds of phases that the record does not tell.
func (t *Timeline) untold() (kinds []string) {
	for _, kind := range bpf.PhaseKinds {
		if !slices.Contains(t.Start.Phases, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// shares are the sums of a load's waits by kind, for people.
func (o *Load) shares() string {
	sums := make(map[string]time.Duration)
	var kinds []string
	for _, w := range o.Waits {
		kind := strings.TrimSuffix(w.How, "-uninterruptible")
		if _, there := sums[kind]; !there {
			kinds = append(kinds, kind)
		}
		sums[kind] += w.To - w.From
	}
	for i, kind := range kinds {
		name := kind
		if kind == "name" || kind == "file" {
			name = "same " + kind
		}
		kinds[i] = name + " " + millis(sums[kind])
	}
	return strings.Join(kinds, ", ")
}

// outcome says what came of a request.
func (q *Request) outcome() string {
	if !q.Ended {
		return "not over"
	}
	if len(q.Loads) == 0 {
		return "nothing was loaded" + q.because()
	}
	var all []string
	for _, o := range q.Loads {
		all = append(all, o.name()+" "+o.result())
	}
	if n := len(all); n > 8 {
		all = append(all[:8], fmt.Sprintf("%d more", n-8))
	}
	return strings.Join(all, ", ")
}

// because says how a request ended that brought nothing, as call_usermodehelper_exec tells the requester.
func (q *Request) because() string {
	status := unix.WaitStatus(q.Ret)
	switch {
	case !q.Told || q.Ret == 0:
		return ""
	case q.Ret < 0:
		return ": " + live.Result(q.Ret)
	case status.Signaled():
		return fmt.Sprintf(", signal %d ended the helper", status.Signal())
	}
	return fmt.Sprintf(", the helper exits with %d", status.ExitStatus())
}

// certain is whether a load waits for itself for sure.
func (o *Load) certain() bool { return o.Found == graph.Certain }
