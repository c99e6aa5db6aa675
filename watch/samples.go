// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/finit/unpack"
	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/clock"
)

// sampleEvery is the time between two surveys, which take some 200 ms.
const sampleEvery = time.Second

// samples is the last resort, where the kernel has neither BPF nor kprobe
// events: a survey of /proc now and then. It finds circles of waits as they are
// when it looks.
type samples struct {
	next time.Time
	told map[string]bool
	wake chan struct{}

	// Tests replace what reaches the system.
	clock   clock.Clock
	examine func() (*survey.Survey, error)
	wait    func(d time.Duration, wake <-chan struct{}) (woken bool)
}

func openProc(OpenOptions) (Source, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, &bpf.Unavailable{Missing: []string{"/proc"}, Err: err}
	}
	return newSamples(), nil
}

func newSamples() *samples {
	return &samples{wake: make(chan struct{}, 1), told: make(map[string]bool), clock: clock.System{}, wait: wait,
		examine: func() (*survey.Survey, error) { return survey.Examine(survey.Options{Unpack: unpack.InProcess}) }}
}

func wait(d time.Duration, wake <-chan struct{}) (woken bool) {
	select {
	case <-wake:
		return true
	case <-time.After(d):
		return false
	}
}

func (s *samples) Describe() Description {
	m := []string{"waits that end within a second", "the moment of a wait", "requests that are over"}
	if unix.Geteuid() != 0 {
		m = append(m, "other users' tasks (not root)")
	}
	return Description{Name: "proc", Missing: m}
}

// Next makes the next survey when it is due and returns what it finds that was
// not there the last time.
func (s *samples) Next(until time.Time) (Observation, error) {
	for {
		due := s.next
		if until.Before(due) {
			due = until
		}
		if s.wait(due.Sub(s.clock.Now()), s.wake) {
			return Observation{}, ErrWoken
		}
		if s.clock.Now().Before(s.next) {
			return Observation{}, os.ErrDeadlineExceeded
		}
		found, err := s.sample()
		if len(found) > 0 || err != nil {
			return Observation{Report: live.Report{Findings: found}}, err
		}
	}
}

func (s *samples) sample() ([]live.Finding, error) {
	sv, err := s.examine()
	if err != nil {
		return nil, err
	}
	s.next = s.clock.Now().Add(sampleEvery)
	now := make(map[string]bool)
	var found []live.Finding
	for i := range sv.Findings {
		f := surveyed(&sv.Findings[i], sv, time.Duration(s.clock.Boot()))
		key := sentence(&f)
		now[key] = true
		if !s.told[key] {
			found = append(found, f)
		}
	}
	s.told = now
	return found, nil
}

// Waits surveys anew: only who still is the one that had best fail is in the
// wait that was found.
func (s *samples) Waits(f *live.Finding) bool {
	return s.finds(func(g *graph.Finding) bool { return g.Victim() == f.Victim() })
}

// Stuck surveys anew, too.
func (s *samples) Stuck(f *live.Finding) bool {
	return s.finds(func(g *graph.Finding) bool {
		return g.Victim() == f.Victim() && g.Certainty == graph.Certain
	})
}

func (s *samples) finds(is func(*graph.Finding) bool) bool {
	sv, err := s.examine()
	if err != nil {
		return false
	}
	for i := range sv.Findings {
		if is(&sv.Findings[i]) {
			return true
		}
	}
	return false
}

// Beat has nothing to do: nothing is shared.
func (s *samples) Beat() error { return nil }

// Lost is 0: what happens between two samples is said to be missing.
func (s *samples) Lost() (uint64, error) { return 0, nil }

func (s *samples) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *samples) Close() error { return nil }

// surveyed writes a survey's finding as the trackers of events write theirs.
func surveyed(f *graph.Finding, sv *survey.Survey, at time.Duration) live.Finding {
	out := live.Finding{Finding: *f, At: at, TID: f.Victim(), Sent: bpf.Unsent, Surveyed: true}
	seen := make(map[int]*survey.Seen)
	for i := range sv.Tasks {
		seen[sv.Tasks[i].TID] = &sv.Tasks[i]
	}
	if t := seen[out.TID]; t != nil {
		out.Comm = t.Comm
	}
	if f.Kind == graph.Recursion && !f.Signal {
		out.How = bpf.WaitFileHard
	}
	out.Chain = make(graph.Chain, len(f.Chain))
	for i, h := range f.Chain {
		h.What, h.FD = graph.HopProcess, -1
		if t := seen[h.TID]; t != nil {
			h.File, h.For = t.File, t.Asleep
			if what, ok := whats[t.Role]; ok {
				h.What = what
			}
		}
		switch h.What {
		case graph.HopRequest:
			h.Via = bpf.ViaNone.String()
		case graph.HopWait:
			h.How = bpf.WaitHow(0).String() // a survey does not see it
		}
		out.Chain[i] = h
	}
	return out
}

// whats are the roles of a survey that are a hop of their own; others are
// processes between.
var whats = map[string]string{
	survey.RoleLoad:      graph.HopLoad,
	survey.RoleWait:      graph.HopWait,
	survey.RoleRequest:   graph.HopRequest,
	survey.RoleDuplicate: graph.HopRequest,
	survey.RoleHelper:    graph.HopHelper,
}
