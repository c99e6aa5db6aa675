// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"safeload/internal/terminal"
)

// progress is, on a terminal, a last line that says what runs, what is done, and how long it will take.
type progress struct {
	mu       sync.Mutex
	out      *os.File
	terminal bool
	begin    time.Time
	running  map[string]time.Time
	file     string             // of times, or empty
	times    map[string]float64 // what steps took last, in seconds
	due      []Step             // those that have not ended
	steps    int
	shared   bool // a step writes there for itself
	over     chan struct{}
}

func newProgress(out *os.File, file string) *progress {
	p := &progress{out: out, terminal: terminal.Is(out), begin: time.Now(), running: map[string]time.Time{}, file: file, times: map[string]float64{},
		over: make(chan struct{})}
	if b, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(b, &p.times) // without them nothing is said of the time
	}
	return p
}

// total begins the count of what is to be done.
func (p *progress) total(steps []Step) {
	p.due, p.steps = append([]Step(nil), steps...), len(steps)
	if p.terminal {
		go p.tick()
	}
}

func (p *progress) tick() {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-p.over:
			return
		case <-every.C:
			p.mu.Lock()
			p.status()
			p.mu.Unlock()
		}
	}
}

// end ends the line that changes.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.over)
	if p.terminal {
		terminal.Clear(p.out)
	}
}

func (p *progress) started(s Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[s.Name] = time.Now()
	p.status()
}

// share: a step writes to the terminal for itself, until it has ended.
func (p *progress) share() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shared = true
}

func (p *progress) ended(d done) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, d.step.Name)
	for i, s := range p.due {
		if s.Name == d.step.Name {
			p.due = append(p.due[:i:i], p.due[i+1:]...)
			break
		}
	}
	if d.step.holds {
		p.shared = false
	}
	p.times[d.step.Name] = d.took.Seconds()
	if b, err := json.Marshal(p.times); err == nil && p.file != "" {
		_ = os.WriteFile(p.file, b, 0o644)
	}
}

// line prints above the line that changes.
func (p *progress) line(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		terminal.Clear(p.out)
	}
	fmt.Fprintln(p.out, s)
	p.status()
}

// remaining is by what steps took last: as many as run at once, and no less than the longest. It is unknown if a step has
// never run.
func (p *progress) remaining(now time.Time) (time.Duration, bool) {
	var others, longest float64
	for _, s := range p.due {
		left, ok := p.times[s.Name]
		if !ok {
			return 0, false
		}
		if since, ok := p.running[s.Name]; ok {
			left = max(0, left-now.Sub(since).Seconds())
		}
		if !s.beside && !s.holds {
			others += left
		}
		longest = max(longest, left)
	}
	return time.Duration(max(others/atOnce, longest) * float64(time.Second)).Round(time.Second), true
}

// status writes the line that changes.
func (p *progress) status() {
	select {
	case <-p.over:
		return
	default:
	}
	if !p.terminal || p.shared || len(p.running) == 0 {
		return
	}
	terminal.Status(p.out, p.text(time.Now()))
}

func (p *progress) text(now time.Time) string {
	var names []string
	for n, since := range p.running {
		names = append(names, fmt.Sprintf("%s %.0f s", n, now.Sub(since).Seconds()))
	}
	sort.Strings(names)
	text := fmt.Sprintf("%d of %d steps done in %s", p.steps-len(p.due), p.steps, now.Sub(p.begin).Round(time.Second))
	if left, ok := p.remaining(now); ok {
		text += ", about " + left.String() + " to go"
	}
	return text + "; running: " + strings.Join(names, ", ")
}
