// SPDX-License-Identifier: Apache-2.0

package rig

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"

	"safeload/internal/rig/report"
	"safeload/internal/terminal"
)

// progress says what runs, what is done, and how long it will take: a last line that changes on a terminal, plain lines
// otherwise.
type progress struct {
	mu       sync.Mutex
	out      *os.File
	terminal bool
	file     string // of times
	times    times
	usual    times
	single   bool // single cases are asked for: times are theirs, not their groups'
	guests   int  // all of this run
	done     int
	waiting  map[string]bool      // for a place among the machine's guests
	running  map[string]time.Time // since when
	due      map[string]float64   // seconds of guests that have not ended, but for those that idle
	over     chan struct{}
}

func newProgress(out *os.File, file string) *progress {
	var u times
	_ = json.Unmarshal(usual, &u) // TestUsual
	return &progress{out: out, terminal: terminal.Is(out), file: file, times: readTimes(file), usual: u, waiting: map[string]bool{},
		running: map[string]time.Time{}, due: map[string]float64{}, over: make(chan struct{})}
}

// key is what the guest's time is kept by.
func (p *progress) key(g *Guest) string {
	key := g.name()
	if p.single {
		for _, c := range g.Cases {
			key += " " + c.Name
		}
	}
	return key
}

// usual are the times of a run of the whole matrix on two cores, for a machine that has not run it yet: with a wrong order
// the longest guest runs at the end, and a core is idle. It is jq 'with_entries(select(.key | test("^[^ ]+$")) | .value |= round)' of
// .cache/rig-times.
//
//go:embed usual.json
var usual []byte

// expected is how long a guest took last time, or else on another machine, or else a part of its limit.
func (p *progress) expected(g *Guest) float64 {
	for _, t := range []times{p.times, p.usual} {
		if seconds, ok := t[p.key(g)]; ok {
			return seconds
		}
	}
	return g.limit.Seconds() / 4
}

// computes is how long a guest is expected to take a slot of those that bound the run.
func (p *progress) computes(g *Guest) float64 {
	if g.idles() {
		return 0
	}
	return p.expected(g)
}

// total begins the count of what is to be done.
func (p *progress) total(guests []*Guest) {
	p.guests = len(guests)
	for _, g := range guests {
		p.due[g.name()] = p.computes(g)
	}
	if len(guests) > 2 {
		p.line("%d guests, about %s", len(guests), p.remaining(time.Now()))
	}
	if p.terminal {
		go p.tick()
	}
}

// without takes guests out of the count whose kernel there is not.
func (p *progress) without(guests []*Guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.guests -= len(guests)
	for _, g := range guests {
		delete(p.due, g.name())
	}
}

// tick keeps the line that changes up to date.
func (p *progress) tick() {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-p.over:
			return
		case <-every.C:
			p.mu.Lock()
			p.status(time.Now())
			p.mu.Unlock()
		}
	}
}

// end ends the line that changes.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.over:
	default:
		close(p.over)
		if p.terminal {
			terminal.Clear(p.out)
		}
	}
}

// remaining is the time in which as many guests as the machine runs at once will be through, and no less than the longest
// of them takes.
func (p *progress) remaining(now time.Time) time.Duration {
	var all, longest float64
	for name, left := range p.due {
		if since, ok := p.running[name]; ok {
			left = max(0, left-now.Sub(since).Seconds())
		}
		all += left
		longest = max(longest, left)
	}
	return time.Duration(max(all/float64(runtime.NumCPU()), longest) * float64(time.Second)).Round(time.Second)
}

func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print(fmt.Sprintf(format, args...))
}

func (p *progress) print(text string) {
	if p.terminal {
		terminal.Clear(p.out)
	}
	fmt.Fprintln(p.out, text)
	p.status(time.Now())
}

// status writes the line that changes.
func (p *progress) status(now time.Time) {
	select {
	case <-p.over:
		return
	default:
	}
	if !p.terminal || len(p.running)+len(p.waiting) == 0 {
		return
	}
	terminal.Status(p.out, p.text(now))
}

func (p *progress) text(now time.Time) string {
	var names []string
	for n, since := range p.running {
		names = append(names, fmt.Sprintf("%s %.0f s", n, now.Sub(since).Seconds()))
	}
	sort.Strings(names)
	text := fmt.Sprintf("%d of %d done, about %s to go", p.done, p.guests, p.remaining(now))
	if len(names) > 0 {
		text += "; running: " + strings.Join(names, ", ")
	} else {
		text += "; waiting for other guests of this machine"
	}
	return text
}

// waits: the guest's root is made, and there may be no place for it yet.
func (p *progress) waits(g *Guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[g.name()] = true
	p.status(time.Now())
}

func (p *progress) started(g *Guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, g.name())
	p.running[g.name()] = time.Now()
	p.status(time.Now())
}

func (p *progress) ended(g *Guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, g.name())
	delete(p.waiting, g.name())
	delete(p.due, g.name())
	p.done = min(p.done+1, p.guests)
	how := ""
	if g.resumed {
		how = " (resumed)"
	}
	if _, fail, _ := report.Count(g.verdicts); fail > 0 {
		how += fmt.Sprintf(": %d failed", fail)
	}
	p.print(fmt.Sprintf("%-11s %-10s %-6s %3.0f s, %3.0f s of a processor%s", g.label(), g.Group, g.Mode, g.took.Seconds(), g.cpu.Seconds(), how))
	p.keep(g)
	if said := g.costs.String(); said != "" && len(g.Cases) > 1 && g.Mode == Safe {
		p.print("            " + said)
	}
}

// keep writes down how long the guest took. Other runs write there too.
func (p *progress) keep(g *Guest) {
	key, took := p.key(g), g.took
	if g.fills {
		took = g.cpu // the rest was others' time
	}
	p.times[key] = max(took.Seconds(), p.times[key]*0.9)
	all := readTimes(p.file)
	all[key], all["cpu "+key] = p.times[key], g.cpu.Seconds()
	if g.costs != nil && g.Mode == Safe && !p.single {
		for name, spent := range g.costs.by {
			all["cpu "+g.name()+" "+name] = spent.Seconds()
		}
	}
	if b, err := json.Marshal(all); err == nil {
		_ = os.WriteFile(p.file, b, 0o644)
	}
}
