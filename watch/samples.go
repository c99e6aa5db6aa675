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
	return s.finds(func(g *graph.Finding) bool { return victimOf(g) == f.TGID })
}

// Stuck surveys anew, too.
func (s *samples) Stuck(f *live.Finding) bool {
	return s.finds(func(g *graph.Finding) bool {
		return victimOf(g) == f.TGID && g.Certainty == graph.Certain
	})
}

// victimOf is who had best be ended of a circle.
func victimOf(g *graph.Finding) uint32 {
	if g.Kind != graph.Recursion {
		return uint32(g.Asker)
	}
	return uint32(g.Waiter)
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
	out := live.Finding{Certainty: certainty(f.Certainty), At: at, Module: f.Module,
		TID: uint32(f.Waiter), TGID: uint32(f.Waiter), Signal: bpf.Unsent}
	seen := make(map[int]*survey.Seen)
	for i := range sv.Tasks {
		seen[sv.Tasks[i].TID] = &sv.Tasks[i]
	}
	if t := seen[f.Waiter]; t != nil {
		out.Comm = t.Comm
	}
	switch {
	case f.Kind != graph.Recursion:
		out.Kind, out.Kernel = f.Kind, f.Kernel
		out.TID, out.TGID = uint32(f.Asker), uint32(f.Asker)
		if t := seen[f.Asker]; t != nil {
			out.Comm = t.Comm
		}
	case !f.Signal:
		out.How = bpf.WaitFileHard
	}
	for _, h := range f.Chain {
		s := live.Step{What: live.StepProcess, Module: h.Module, TID: uint32(h.TID), TGID: uint32(h.PID), Comm: h.Comm,
			FD: -1, Certainty: certainty(h.Certainty)}
		if t := seen[h.TID]; t != nil {
			s.File, s.For = t.File, t.Asleep
			if what, ok := steps[t.Role]; ok {
				s.What = what
			}
		}
		out.Chain = append(out.Chain, s)
	}
	return out
}

// steps are the roles of a survey that are a step of their own; others are
// processes between.
var steps = map[string]string{
	survey.RoleLoad:      live.StepLoad,
	survey.RoleWait:      live.StepWait,
	survey.RoleRequest:   live.StepRequest,
	survey.RoleDuplicate: live.StepRequest,
	survey.RoleHelper:    live.StepHelper,
}

func certainty(c graph.Certainty) bpf.Certainty {
	if c == graph.Certain {
		return bpf.Proven
	}
	return bpf.Likely
}
