// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/internal/plain"
	"safeload/internal/proc"
)

// watchPrinter writes what a watch sees, for people or as JSON lines.
type watchPrinter struct {
	out, err io.Writer
	json     bool
	colour   bool
	slowest  time.Duration
}

func newWatchPrinter(o watchOptions, stdout, stderr io.Writer) *watchPrinter {
	p := &watchPrinter{out: stdout, err: stderr, json: o.json}
	if f, ok := stdout.(*os.File); ok && !o.json && os.Getenv("NO_COLOR") == "" {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.colour = err == nil && os.Getenv("TERM") != "dumb"
	}
	return p
}

const (
	red    = "31;1"
	yellow = "33"
	green  = "32"
	faint  = "2"
)

// paint makes text of a colour; what others have chosen in it is made plain.
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

func (p *watchPrinter) note(format string, a ...any) {
	plain.Fprintf(p.err, "safeload: watch: "+format+"\n", a...)
}

func (p *watchPrinter) start(s *namedSource) {
	missing := s.Missing()
	if p.json {
		f := map[string]any{"source": s.name, "missing": orEmpty(missing), "unavailable": orEmpty(s.less)}
		if b, ok := s.source.(*bpf.Probe); ok {
			l := b.Learned()
			f["learned"] = map[string]any{"waits_by_file": l.Idempotent, "inode_offset": l.InodeOff,
				"cookie_words": l.CookieBack, "cookie_seen": l.CookieSeen, "uninterruptible": l.Hard}
		}
		p.object("start", f)
		return
	}
	for _, l := range s.less {
		p.note("%s", l)
	}
	for _, m := range missing {
		p.note("not seen on this kernel: %s", m)
	}
	p.line("watching (%s)", s.name)
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (p *watchPrinter) end(found int, lost uint64) {
	if p.json {
		p.object("end", map[string]any{"findings": found, "lost": lost, "slowest_us": p.slowest.Microseconds()})
		return
	}
	p.line("%d findings, %d events lost", found, lost)
}

func (p *watchPrinter) lost(n uint64) {
	if p.json {
		p.object("lost", map[string]any{"events": n})
		return
	}
	p.line("%s", p.paint(yellow, fmt.Sprintf("%d events lost: what follows may lack hops", n)))
}

func (p *watchPrinter) finding(f *live.Finding) {
	var seen time.Duration
	if f.Read != 0 {
		seen = f.Read - f.At
		p.slowest = max(p.slowest, seen)
	}
	for i := range f.Chain {
		fillFile(&f.Chain[i])
	}
	if p.json {
		steps := make([]map[string]any, len(f.Chain))
		for i := range f.Chain {
			steps[i] = stepJSON(&f.Chain[i])
		}
		o := map[string]any{"certainty": f.Certainty.String(), "module": f.Module, "how": f.How.String(),
			"pid": f.TGID, "tid": f.TID, "comm": f.Comm, "cgroup": f.Cgroup, "token": tokenOf(f.TGID),
			"boot_ns": f.At.Nanoseconds(), "chain": steps}
		if f.Read != 0 {
			o["seen_after_us"] = seen.Microseconds()
		}
		if f.Signal > 0 {
			o["signal"] = unix.SignalName(unix.Signal(f.Signal))
		}
		p.object("finding", o)
		return
	}
	head, code := "waits for itself", red
	if f.Certainty != bpf.Proven {
		head, code = "probably waits for itself", yellow
	}
	after := ""
	if f.Read != 0 {
		after = ", seen after " + short(seen)
	}
	p.line("%s (%s%s)", p.paint(code, quote(f.Module)+" "+head), f.Certainty, after)
	for i := range f.Chain {
		indent := strings.Repeat("   ", i)
		if i > 0 {
			indent = indent[3:] + "└─ "
		}
		plain.Fprintf(p.out, "  %s%s\n", indent, stepText(&f.Chain[i], i == len(f.Chain)-1))
	}
	if f.Signal > 0 {
		plain.Fprintf(p.out, "  %s\n", sent(f))
	}
}

func sent(f *live.Finding) string {
	return fmt.Sprintf("sent %s to %s", unix.SignalName(unix.Signal(f.Signal)), process(f.Comm, f.TGID))
}

// signalled tells of a signal that was sent later than its finding was told.
func (p *watchPrinter) signalled(f *live.Finding) {
	if p.json {
		p.object("signal", map[string]any{"module": f.Module, "pid": f.TGID, "tid": f.TID, "comm": f.Comm,
			"signal": unix.SignalName(unix.Signal(f.Signal))})
		return
	}
	p.line("%s", sent(f))
}

func (p *watchPrinter) freed(f *live.Freed) {
	if p.json {
		p.object("freed", map[string]any{"module": f.Module, "pid": f.TGID, "tid": f.TID, "comm": f.Comm,
			"after_us": f.After.Microseconds(), "ret": f.Ret})
		return
	}
	p.line("%s left its wait for %s after %s (%s)", p.paint(green, process(f.Comm, f.TGID)), quote(f.Module),
		short(f.After), result(f.Ret))
}

// verbose tells of loads and requests, with what they took.
func (p *watchPrinter) verbose(e bpf.Event, r *live.Report) {
	switch {
	case r.Load != nil:
		name := r.Load.Module
		if name == "" {
			name = r.Load.WaitName
		}
		if p.json {
			p.object("load", map[string]any{"module": name, "pid": r.Load.TGID, "tid": r.Load.TID, "comm": r.Load.Comm,
				"cgroup": r.Load.Cgroup, "took_us": r.Took.Microseconds(), "ret": r.Ret})
			return
		}
		p.line("load %s by %s: %s in %s", orUnknown(name), process(r.Load.Comm, r.Load.TGID), result(r.Ret), short(r.Took))
	case r.Request != nil:
		q := r.Request
		if p.json {
			p.object("request", map[string]any{"name": q.Name, "pid": q.TGID, "tid": q.TID, "comm": q.Comm,
				"via": q.Hop.String(), "child": q.Child, "took_us": r.Took.Microseconds()})
			return
		}
		p.line("request %s by %s: helper %d in %s", orUnknown(q.Name), process(q.Comm, q.TID), q.Child, short(r.Took))
	case e.Kind == bpf.Wait && !p.json:
		p.line("%s waits for %s (by %s)", process(e.Comm, e.TGID), orUnknown(e.Name), bpf.WaitHow(e.How))
	}
}

func stepText(s *live.Step, last bool) string {
	who := process(s.Comm, s.TGID)
	likely := ""
	if s.Certainty == bpf.Likely {
		likely = " (likely)"
	}
	switch s.What {
	case live.StepLoad:
		file := ""
		if s.File != "" {
			file = " from " + quote(s.File)
		}
		return fmt.Sprintf("load of %s%s by %s, for %s", orUnknown(s.Module), file, who, short(s.For))
	case live.StepRequest:
		via := ""
		switch s.Via {
		case bpf.HopKthread:
			via = ", a kernel thread that its init started" + likely
		case bpf.HopWork:
			via = ", at a work item that its init queued" + likely
		}
		return fmt.Sprintf("request for %s by %s%s, for %s", orUnknown(s.Request), process(s.Comm, s.TID), via, short(s.For))
	case live.StepHelper:
		return "helper " + who + ", started by the kernel"
	case live.StepProcess:
		return "process " + who
	}
	end := ""
	if last {
		end = ": the first of this chain"
	}
	return fmt.Sprintf("%s waits for %s (%s)%s", who, orUnknown(s.Module), s.How, end)
}

func stepJSON(s *live.Step) map[string]any {
	o := map[string]any{"what": s.What, "pid": s.TGID, "tid": s.TID, "comm": s.Comm,
		"certainty": s.Certainty.String(), "for_us": s.For.Microseconds()}
	set := func(k, v string) {
		if v != "" {
			o[k] = v
		}
	}
	set("module", s.Module)
	set("file", s.File)
	switch s.What {
	case live.StepRequest:
		o["request"], o["via"] = s.Request, s.Via.String()
	case live.StepWait:
		o["how"] = s.How.String()
	}
	if s.Cgroup != 0 {
		o["cgroup"] = s.Cgroup
		set("token", tokenOf(s.TGID))
	}
	return o
}

// fillFile looks up the file of a load that is in flight, which a waiting
// task's is.
func fillFile(s *live.Step) {
	if s.FD < 0 || (s.What != live.StepLoad && s.What != live.StepWait) {
		return
	}
	p, err := proc.OpenProc()
	if err != nil {
		return
	}
	defer p.Close()
	p.Bounded(func(p *proc.FS) {
		if f, err := p.File(int(s.TGID), int(s.FD)); err == nil {
			s.File = f.Path
		}
	})
}

// tokenOf returns the token of a process: the name of the cgroup that the
// guard made for it, /safeload/TOKEN.
func tokenOf(pid uint32) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(pid)) + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		_, path, _ := strings.Cut(strings.TrimSpace(line), ":/")
		if dir, name := filepath.Split(path); dir == "safeload/" {
			token, _, _ := strings.Cut(name, ".") // the rest is how deep
			return token
		}
	}
	return ""
}

// kmsgLine says a finding in one line.
func kmsgLine(f *live.Finding) string {
	var b strings.Builder
	plain.Fprintf(&b, "safeload: module %s: load waits for itself (%s): ", f.Module, f.Certainty)
	for i := range f.Chain {
		s := &f.Chain[i]
		if i > 0 {
			b.WriteString(" -> ")
		}
		switch s.What {
		case live.StepRequest:
			plain.Fprintf(&b, "request %s by %s[%d]", s.Request, s.Comm, s.TID)
		case live.StepWait:
			plain.Fprintf(&b, "wait of %s[%d] for %s", s.Comm, s.TGID, s.Module)
		default:
			plain.Fprintf(&b, "%s %s%s[%d]", s.What, prefixSpace(s.Module), s.Comm, s.TGID)
		}
	}
	if f.Signal > 0 {
		plain.Fprintf(&b, "; sent %s", unix.SignalName(unix.Signal(f.Signal)))
	}
	return b.String()
}

func prefixSpace(s string) string {
	if s == "" {
		return ""
	}
	return s + " by "
}

// quote keeps names that anybody may have chosen from moving the terminal.
func quote(s string) string { return plain.Text(s) }

func orUnknown(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return quote(s)
}

func process(comm string, pid uint32) string { return fmt.Sprintf("%s[%d]", quote(comm), pid) }

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
