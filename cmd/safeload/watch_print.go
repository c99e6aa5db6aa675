// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/internal/plain"
	"safeload/internal/terminal"
	"safeload/watch"
)

// watchPrinter writes what a watch sees, for people or as JSON lines.
type watchPrinter struct {
	out, err io.Writer
	json     bool
	verbose  bool
	colour   bool
	slowest  time.Duration
}

func newWatchPrinter(o watchOptions, stdout, stderr io.Writer) *watchPrinter {
	p := &watchPrinter{out: stdout, err: stderr, json: o.json, verbose: o.verbose}
	p.colour = !o.json && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && terminal.Is(stdout)
	return p
}

const (
	red    = "31;1"
	yellow = "33"
	green  = "32"
	faint  = "2"
)

// paint makes text plain, as others may have chosen it, and gives it a colour.
func (p *watchPrinter) paint(code, s string) plain.Safe {
	s = plain.Text(s)
	if !p.colour {
		return plain.Safe(s)
	}
	return plain.Safe("\x1b[" + code + "m" + s + "\x1b[0m")
}

// line writes one line of text, headed by the time.
func (p *watchPrinter) line(format string, a ...any) {
	plain.Fprintf(p.out, "%s %s\n", p.paint(faint, time.Now().Format("15:04:05.000")), plain.Safe(plain.Sprintf(format, a...)))
}

// object writes one JSON object a line; all have these fields.
func (p *watchPrinter) object(kind string, fields map[string]any) {
	fields["schema"] = 1
	fields["type"] = kind
	fields["time"] = time.Now().UTC().Format(time.RFC3339Nano)
	b, err := json.Marshal(fields)
	if err != nil {
		plain.Fprintf(p.err, "safeload: watch: write %s as JSON: %v\n", kind, err)
		return
	}
	p.out.Write(append(b, '\n'))
}

// Note prints what could not be done.
func (p *watchPrinter) Note(format string, a ...any) {
	plain.Fprintf(p.err, "safeload: watch: "+format+"\n", a...)
}

func (p *watchPrinter) start(d watch.Description) {
	if p.json {
		f := map[string]any{"source": d.Name, "missing": orEmpty(d.Missing), "unavailable": orEmpty(d.Better)}
		if l := d.Learned; l != nil {
			f["learned"] = map[string]any{"waits_by_file": l.Idempotent, "inode_offset": l.InodeOff,
				"cookie_words": l.CookieBack, "cookie_seen": l.CookieSeen, "uninterruptible": l.Hard}
		}
		p.object("start", f)
		return
	}
	for _, l := range d.Better {
		p.Note("%s", l)
	}
	for _, m := range d.Missing {
		p.Note("not seen on this kernel: %s", m)
	}
	p.line("watching (%s)", d.Name)
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (p *watchPrinter) end(sum watch.Summary) {
	if p.json {
		p.object("end", map[string]any{"findings": sum.Findings, "lost": sum.Lost, "slowest_us": p.slowest.Microseconds()})
		return
	}
	p.line("%d findings, %d events lost", sum.Findings, sum.Lost)
}

// Lost reports events that were lost.
func (p *watchPrinter) Lost(n uint64) {
	if p.json {
		p.object("lost", map[string]any{"events": n})
		return
	}
	p.line("%s", p.paint(yellow, fmt.Sprintf("%d events lost: what follows may lack hops", n)))
}

// Finding reports a load that waits for itself.
func (p *watchPrinter) Finding(f *live.Finding) {
	var seen time.Duration
	if f.Read != 0 {
		seen = f.Read - f.At
		p.slowest = max(p.slowest, seen)
	}
	if p.json {
		steps := make([]map[string]any, len(f.Chain))
		for i := range f.Chain {
			steps[i] = stepJSON(&f.Chain[i])
		}
		o := map[string]any{"certainty": live.Word(f.Certainty), "module": f.Module, "how": f.How.String(),
			"pid": f.Victim(), "tid": f.TID, "comm": f.Comm, "cgroup": f.Cgroup, "token": f.Token,
			"boot_ns": f.At.Nanoseconds(), "chain": steps, "kind": f.Kind.String(), "known_by": knownBy(f)}
		if f.Read != 0 {
			o["seen_after_us"] = seen.Microseconds()
		}
		if f.Sent > 0 {
			o["signal"] = unix.SignalName(unix.Signal(f.Sent))
		}
		p.object("finding", o)
		return
	}
	head, code := f.Kind.Wait(), red
	if f.Certainty != graph.Certain {
		head, code = "probably "+head, yellow
	}
	after := ""
	if f.Read != 0 {
		after = ", seen after " + short(seen)
	}
	if f.Kind != graph.Recursion {
		after += ", by " + knownBy(f)
	}
	p.line("%s (%s%s)", p.paint(code, quote(f.Module)+" "+head), live.Word(f.Certainty), after)
	for i := range f.Chain {
		indent := strings.Repeat("   ", i)
		if i > 0 {
			indent = indent[3:] + "└─ "
		}
		plain.Fprintf(p.out, "  %s%s\n", indent, stepText(&f.Chain[i], i == len(f.Chain)-1))
	}
	if f.Kind != graph.Recursion && f.Sent <= 0 {
		plain.Fprintf(p.out, "  %s\n", wayOut(f))
	}
	if f.Sent > 0 {
		plain.Fprintf(p.out, "  %s\n", sent(f))
	}
}

// knownBy says by what a finding is known: the events of its loads, at the moment of a
// wait, or a look at all tasks.
func knownBy(f *live.Finding) string {
	if f.Surveyed {
		return "survey"
	}
	return "event"
}

// wayOut says what ends a circle in which no load waits for another.
func wayOut(f *live.Finding) string {
	if f.Kind == graph.Async || f.Kernel || f.Victim() == 0 {
		return "no signal ends it: only a reboot does"
	}
	return "SIGKILL of the requester ends it, " + process(f.Comm, f.Victim()) + ": no signal reaches the load"
}

func sent(f *live.Finding) string {
	return fmt.Sprintf("sent %s to %s", unix.SignalName(unix.Signal(f.Sent)), process(f.Comm, f.Victim()))
}

// Signalled reports a signal that was sent after its finding was reported.
func (p *watchPrinter) Signalled(f *live.Finding) {
	if p.json {
		p.object("signal", map[string]any{"module": f.Module, "pid": f.Victim(), "tid": f.TID, "comm": f.Comm,
			"signal": unix.SignalName(unix.Signal(f.Sent))})
		return
	}
	p.line("%s", sent(f))
}

// Freed reports that the waiter of a finding has left its wait.
func (p *watchPrinter) Freed(f *live.Freed) {
	if p.json {
		p.object("freed", map[string]any{"module": f.Module, "pid": f.TGID, "tid": f.TID, "comm": f.Comm,
			"after_us": f.After.Microseconds(), "ret": f.Ret})
		return
	}
	p.line("%s left its wait for %s after %s (%s)", p.paint(green, process(f.Comm, f.TGID)), quote(f.Module),
		short(f.After), result(f.Ret))
}

// Seen prints loads and requests with their durations, with -v.
func (p *watchPrinter) Seen(o *watch.Observation) {
	switch {
	case !p.verbose:
	case o.Load != nil:
		p.load(o.Load, o.Took, o.Ret)
	case o.Request != nil:
		p.request(o.Request, o.Took)
	case o.Event.Kind == bpf.Wait && !p.json:
		e := &o.Event
		p.line("%s waits for %s (by %s)", process(e.Comm, e.TGID), orUnknown(e.Name), bpf.WaitHow(e.How))
	}
}

func (p *watchPrinter) load(l *live.Load, took time.Duration, ret int32) {
	name := l.Module
	if name == "" {
		name = l.WaitName
	}
	if p.json {
		p.object("load", map[string]any{"module": name, "pid": l.TGID, "tid": l.TID, "comm": l.Comm,
			"cgroup": l.Cgroup, "took_us": took.Microseconds(), "ret": ret})
		return
	}
	p.line("load %s by %s: %s in %s", orUnknown(name), process(l.Comm, l.TGID), result(ret), short(took))
}

func (p *watchPrinter) request(q *live.Request, took time.Duration) {
	if p.json {
		p.object("request", map[string]any{"name": q.Name, "pid": q.TGID, "tid": q.TID, "comm": q.Comm,
			"via": q.Via.String(), "child": q.Child, "took_us": took.Microseconds()})
		return
	}
	p.line("request %s by %s: helper %d in %s", orUnknown(q.Name), process(q.Comm, q.TID), q.Child, short(took))
}

func stepText(s *graph.Hop, last bool) string {
	who := process(s.Comm, s.PID)
	likely := ""
	if s.Certainty == graph.Likely {
		likely = " (likely)"
	}
	switch s.What {
	case graph.HopLoad:
		file := ""
		if s.File != "" {
			file = " from " + quote(s.File)
		}
		return fmt.Sprintf("load of %s%s by %s, for %s", orUnknown(s.Module), file, who, short(s.For))
	case graph.HopRequest:
		via := ""
		switch s.Via {
		case bpf.ViaKthread.String():
			via = ", a kernel thread that its init started" + likely
		case bpf.ViaWork.String():
			via = ", at a work item that its init queued" + likely
		}
		return fmt.Sprintf("request for %s by %s%s, for %s", orUnknown(s.Request), process(s.Comm, s.TID), via, short(s.For))
	case graph.HopHelper:
		return "helper " + who + ", started by the kernel"
	case graph.HopProcess:
		return "process " + who
	}
	end := ""
	if last {
		end = ": the first of this chain"
	}
	return fmt.Sprintf("%s waits for %s (%s)%s", who, orUnknown(s.Module), s.How, end)
}

func stepJSON(s *graph.Hop) map[string]any {
	o := map[string]any{"what": s.What, "pid": s.PID, "tid": s.TID, "comm": s.Comm,
		"certainty": live.Word(s.Certainty), "for_us": s.For.Microseconds()}
	set := func(k, v string) {
		if v != "" {
			o[k] = v
		}
	}
	set("module", s.Module)
	set("file", s.File)
	switch s.What {
	case graph.HopRequest:
		o["request"], o["via"] = s.Request, s.Via
	case graph.HopWait:
		o["how"] = s.How
	}
	if s.Cgroup != 0 {
		o["cgroup"] = s.Cgroup
		set("token", s.Token)
	}
	return o
}

// quote makes a name plain that anybody may have chosen.
func quote(s string) string { return plain.Text(s) }

func orUnknown(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return quote(s)
}

func process[ID int | uint32](comm string, pid ID) string {
	return fmt.Sprintf("%s[%d]", quote(comm), pid)
}

func result(ret int32) string {
	if ret >= 0 {
		return "done"
	}
	return unix.ErrnoName(unix.Errno(-ret))
}

func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
