// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/finit/unpack"
	"safeload/guard/graph"
	"safeload/guard/survey"
)

// procSource samples /proc: the last resort, where the kernel has neither BPF
// nor kprobe events. It has no events; it finds circles of waits as they are
// when it looks.
type procSource struct {
	every    time.Duration
	next     time.Time
	deadline time.Time
	wake     chan struct{}
	told     map[string]bool
}

// sampleEvery is the time between two surveys, which take some 200 ms.
const sampleEvery = time.Second

func openProc(watchOptions) (source, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, &bpf.Unavailable{Missing: []string{"/proc"}, Err: err}
	}
	return &procSource{every: sampleEvery, wake: make(chan struct{}, 1), told: make(map[string]bool)}, nil
}

// Sample waits for the next survey and returns what it found that was not
// there the last time.
func (s *procSource) Sample() ([]live.Finding, error) {
	until := s.next
	if !s.deadline.IsZero() && s.deadline.Before(until) {
		until = s.deadline
	}
	select {
	case <-s.wake:
		return nil, errWoken
	case <-time.After(time.Until(until)):
	}
	if time.Now().Before(s.next) {
		return nil, os.ErrDeadlineExceeded
	}
	sv, err := survey.Examine(survey.Options{Unpack: unpack.InProcess})
	if err != nil {
		return nil, err
	}
	s.next = time.Now().Add(s.every)
	now := make(map[string]bool)
	var found []live.Finding
	for i := range sv.Findings {
		f := surveyed(&sv.Findings[i], sv)
		key := f.Certainty.String() + kmsgLine(&f)
		now[key] = true
		if !s.told[key] {
			found = append(found, f)
		}
	}
	s.told = now
	return found, nil
}

// still looks again whether a process is the one to signal.
func (s *procSource) still(pid uint32) bool {
	sv, err := survey.Examine(survey.Options{Unpack: unpack.InProcess})
	if err != nil {
		return false
	}
	for i := range sv.Findings {
		if uint32(sv.Findings[i].Waiter) == pid {
			return true
		}
	}
	return false
}

// surveyed writes a survey's finding as the probe's are.
func surveyed(f *graph.Finding, sv *survey.Survey) live.Finding {
	out := live.Finding{Certainty: bpf.Likely, At: bpf.Now(), Module: f.Module, TID: uint32(f.Waiter), TGID: uint32(f.Waiter), Signal: bpf.Unsent}
	if f.Certainty == graph.Certain {
		out.Certainty = bpf.Proven
	}
	seen := make(map[int]*survey.Seen)
	for i := range sv.Tasks {
		seen[sv.Tasks[i].TID] = &sv.Tasks[i]
	}
	if t := seen[f.Waiter]; t != nil {
		out.Comm = t.Comm
	}
	if !f.Signal {
		out.How = bpf.WaitFileHard
	}
	for _, h := range f.Chain {
		s := live.Step{What: live.StepProcess, Module: h.Module, TID: uint32(h.TID), TGID: uint32(h.PID), Comm: h.Comm, FD: -1, Certainty: bpf.Proven}
		if h.Certainty != graph.Certain {
			s.Certainty = bpf.Likely
		}
		if t := seen[h.TID]; t != nil {
			s.File, s.For = t.File, t.Asleep
			switch t.Role {
			case survey.RoleLoad:
				s.What = live.StepLoad
			case survey.RoleWait:
				s.What = live.StepWait
			case survey.RoleRequest, survey.RoleDuplicate:
				s.What = live.StepRequest
			case survey.RoleHelper:
				s.What = live.StepHelper
			}
		}
		out.Chain = append(out.Chain, s)
	}
	return out
}

func (s *procSource) Read() (bpf.Event, error) {
	return bpf.Event{}, errors.New("sampling has no events")
}
func (s *procSource) SetDeadline(t time.Time) { s.deadline = t }
func (s *procSource) Beat() error             { return nil }
func (s *procSource) Lost() (uint64, error)   { return 0, nil }
func (s *procSource) Close() error            { return nil }

func (s *procSource) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Waiting is asked of no load: findings of a survey have no ids.
func (s *procSource) Waiting(uint64) bool { return false }

func (s *procSource) Missing() []string {
	m := []string{"waits that end within a second", "the moment of a wait", "requests that are over"}
	if unix.Geteuid() != 0 {
		m = append(m, "other users' tasks (not root)")
	}
	return m
}
