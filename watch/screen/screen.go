// SPDX-License-Identifier: Apache-2.0

// Package screen shows on a terminal what a watch sees while it happens: what is in flight, what it waits for, requests per
// second, and the last findings. It is a [watch.Reporter]; what it shows is kept apart from how, by [View.lines].
package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/internal/plain"
	"safeload/watch"
)

// kept is how many ended loads and findings are remembered for the screen.
const kept = 100

// load is one in flight.
type load struct {
	module, comm string
	tid          uint32
	begun        time.Duration
	waits        string
}

// View is what is shown.
type View struct {
	mu       sync.Mutex
	source   string
	missing  []string
	loads    map[uint64]*load
	requests map[uint64]*live.Request
	lately   []line // the last first
	findings []line // the last first
	found    int
	done     int
	failed   int
	asked    int
	lost     uint64
	notes    []line
	second   int64 // that asks counts
	asks     int
	rate     int // of the last whole second
	highest  int

	tell func(*live.Finding) []string
}

// style is what a line is about.
type style int

const (
	ordinary style = iota
	heading
	bad
	faint
)

type line struct {
	text  string
	style style
}

// New makes a view of a source. tell says a finding in lines.
func New(d watch.Description, tell func(*live.Finding) []string) *View {
	return &View{source: d.Name, missing: d.Missing, loads: make(map[uint64]*load), requests: make(map[uint64]*live.Request), tell: tell}
}

func push(to []line, l ...line) []line {
	all := append(l, to...)
	return all[:min(len(all), kept)]
}

// Finding takes in that a load waits for itself.
func (v *View) Finding(f *live.Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.found++
	var lines []line
	for i, text := range v.tell(f) {
		s := ordinary
		if i == 0 {
			s = bad
		}
		lines = append(lines, line{plain.Text(text), s})
	}
	v.findings = push(v.findings, lines...)
}

// Signalled takes in that a waiter was signalled.
func (v *View) Signalled(f *live.Finding) {
	v.Note("sent a signal to %s[%d], which waits for %s", f.Comm, f.Victim(), f.Module)
}

// Freed takes in that a waiter is out of its wait.
func (v *View) Freed(f *live.Freed) { v.Note("%s[%d] left its wait for %s", f.Comm, f.TGID, f.Module) }

// Lost takes in that events were lost: what was in flight may have ended.
func (v *View) Lost(n uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.lost += n
	clear(v.loads)
	clear(v.requests)
}

// Note takes in what is to be told.
func (v *View) Note(format string, a ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = push(v.notes, line{plain.Sprintf(format, a...), ordinary})
}

// Seen takes in what happens.
func (v *View) Seen(o *watch.Observation) {
	v.mu.Lock()
	defer v.mu.Unlock()
	e := &o.Event
	switch e.Kind {
	case bpf.Request:
		v.requests[e.ID] = &live.Request{Name: e.Name, TID: e.TID, Comm: e.Comm, Begun: e.At}
		v.asked++
		v.count(e.At)
	case bpf.RequestEnd:
		delete(v.requests, e.ID)
	case bpf.LoadBegin:
		v.loads[e.ID] = &load{comm: e.Comm, tid: e.TID, begun: e.At}
	case bpf.Init:
		if l := v.loads[e.ID]; l != nil {
			l.module, l.waits = e.Name, ""
		}
	case bpf.Wait:
		if l := v.loads[e.ID]; l != nil {
			l.waits = v.waitsFor(e)
		}
	case bpf.LoadEnd:
		v.ended(e)
	}
}

func (v *View) waitsFor(e *bpf.Event) string {
	name := e.Name
	if o := v.loads[e.Peer]; o != nil && name == "" {
		name = o.module
	}
	return "for the load of " + cmp.Or(name, "(unknown)") + ", by " + bpf.WaitHow(e.How).String()
}

func (v *View) ended(e *bpf.Event) {
	l := v.loads[e.ID]
	if l == nil {
		return
	}
	delete(v.loads, e.ID)
	v.done++
	s := ordinary
	if e.Ret < 0 {
		v.failed++
		s = bad
	}
	v.lately = push(v.lately, line{plain.Sprintf("%-26s %-22s %8s  %s", name(l.module), who(l.comm, l.tid), since(e.At-l.begun), live.Result(e.Ret)), s})
}

// count counts requests by the second.
func (v *View) count(at time.Duration) {
	if s := int64(at / time.Second); s != v.second {
		v.rate = 0
		if s == v.second+1 {
			v.rate = v.asks
		}
		v.second, v.asks = s, 0
	}
	v.asks++
	v.highest = max(v.highest, v.asks)
}

func name(s string) string { return cut(plain.Text(cmp.Or(s, "(no name yet)")), 26) }

func who(comm string, tid uint32) string { return cut(plain.Sprintf("%s[%d]", comm, tid), 22) }

// cut shortens to n characters.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

func since(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Hour:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// lines are what is shown, at a time since boot, on so many rows.
func (v *View) lines(now time.Duration, rows int) []line {
	v.mu.Lock()
	defer v.mu.Unlock()
	rate := v.rate
	if s := int64(now / time.Second); s > v.second {
		if rate = 0; s == v.second+1 {
			rate = v.asks
		}
	}
	all := []line{
		{plain.Sprintf("safeload watch (%s): %d findings, %d loads in flight, %d done, %d failed, %d lost events", v.source, v.found, len(v.loads), v.done, v.failed, v.lost), heading},
		{fmt.Sprintf("requests: %d waiting, %d in all, %d in the last second, %d in the busiest", len(v.requests), v.asked, rate, v.highest), ordinary},
	}
	// What is in flight gets half of the screen, findings half of the rest.
	all = append(all, section("in flight", v.inFlight(now), max(3, (rows-2)/2))...)
	all = append(all, section("findings, the last first", v.findings, max(3, (rows-len(all))/2))...)
	if len(v.notes) > 0 {
		all = append(all, section("notes", v.notes, 4)...)
	}
	all = append(all, section("loads that have ended, the last first", v.lately, max(3, rows-len(all)-1))...)
	if len(all) >= rows {
		all = all[:max(0, rows-1)]
	}
	for len(all) < rows-1 {
		all = append(all, line{})
	}
	end := "q ends"
	if len(v.missing) > 0 {
		end += "; not seen on this kernel: " + plain.Text(strings.Join(v.missing, "; "))
	}
	return append(all, line{end, faint})
}

// section is a heading and lines below it, at most n together.
func section(title string, lines []line, n int) []line {
	all := []line{{title, heading}}
	switch {
	case len(lines) == 0:
		return append(all, line{"  none", faint})
	case len(lines) > n-1:
		left := len(lines) - (n - 2)
		return append(append(all, lines[:n-2]...), line{fmt.Sprintf("  and %d more lines", left), faint})
	}
	return append(all, lines...)
}

// inFlight are the loads, then the requests, the oldest first.
func (v *View) inFlight(now time.Duration) (all []line) {
	loads := make([]*load, 0, len(v.loads))
	for _, l := range v.loads {
		loads = append(loads, l)
	}
	slices.SortFunc(loads, func(a, b *load) int { return cmp.Or(cmp.Compare(a.begun, b.begun), cmp.Compare(a.tid, b.tid)) })
	for _, l := range loads {
		does := "init runs, or sleeps"
		switch {
		case l.waits != "":
			does = "waits " + l.waits
		case l.module == "":
			does = "is read and linked"
		}
		for _, q := range v.requests {
			if q.TID == l.tid {
				does = "waits for its request " + cmp.Or(q.Name, "(no module)")
			}
		}
		all = append(all, line{plain.Sprintf("%-26s %-22s %8s  %s", name(l.module), who(l.comm, l.tid), since(now-l.begun), does), ordinary})
	}
	requests := make([]*live.Request, 0, len(v.requests))
	for _, q := range v.requests {
		requests = append(requests, q)
	}
	slices.SortFunc(requests, func(a, b *live.Request) int { return cmp.Or(cmp.Compare(a.Begun, b.Begun), cmp.Compare(a.TID, b.TID)) })
	for _, q := range requests {
		all = append(all, line{plain.Sprintf("%-26s %-22s %8s  request", name(cmp.Or(q.Name, "(no module)")), who(q.Comm, q.TID), since(now-q.Begun)), ordinary})
	}
	return all
}
