// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync"
	"time"

	"safeload/internal/rig/report"
)

// progress says what runs, what is done, and how long it will take: a last line that changes on a terminal, plain lines
// otherwise.
type progress struct {
	mu       sync.Mutex
	out      *os.File
	terminal bool
	file     string // of times
	times    times
	running  map[string]time.Time
	left     float64 // seconds of guests that have not ended
}

func newProgress(out *os.File, file string) *progress {
	return &progress{out: out, terminal: atTerminal(out), file: file, times: readTimes(file), running: map[string]time.Time{}}
}

// expected is how long a guest took last time, or else a part of its limit.
func (p *progress) expected(g *Guest) float64 {
	if t, ok := p.times[g.name()]; ok {
		return t
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

func (p *progress) total(guests []*Guest) {
	for _, g := range guests {
		p.left += p.computes(g)
	}
	if len(guests) > 2 {
		p.line("%d guests, about %s", len(guests), p.remaining())
	}
}

func (p *progress) remaining() string {
	return time.Duration(p.left / float64(runtime.NumCPU()) * float64(time.Second)).Round(time.Second).String()
}

func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.print(fmt.Sprintf(format, args...))
}

func (p *progress) print(text string) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintln(p.out, text)
	p.status()
}

// status is the line that changes.
func (p *progress) status() {
	if !p.terminal || len(p.running) == 0 {
		return
	}
	var names []string
	for n := range p.running {
		names = append(names, n)
	}
	sort.Strings(names)
	fmt.Fprintf(p.out, "\r\x1b[Krunning: %s; about %s to go", strings.Join(names, ", "), p.remaining())
}

func (p *progress) started(g *Guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[g.name()] = time.Now()
	p.status()
}

func (p *progress) ended(g *Guest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, g.name())
	p.left -= p.computes(g)
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

// keep writes down how long the guest took. Other runs write there too. Times of single cases are not those of the group.
func (p *progress) keep(g *Guest) {
	p.times[g.name()] = max(g.took.Seconds(), p.times[g.name()]*0.9)
	all := readTimes(p.file)
	all[g.name()], all["cpu "+g.name()] = p.times[g.name()], g.cpu.Seconds()
	if g.costs != nil && g.Mode == Safe {
		for name, spent := range g.costs.by {
			all["cpu "+g.name()+" "+name] = spent.Seconds()
		}
	}
	if b, err := json.Marshal(all); err == nil {
		_ = os.WriteFile(p.file, b, 0o644)
	}
}
