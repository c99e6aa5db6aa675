// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/bpf/tracefs"
	"safeload/guard/graph"
	"safeload/internal/clock"
	"safeload/internal/kernelfs"
)

// stream is where events come from.
type stream interface {
	Read() (bpf.Event, error)
	SetDeadline(time.Time)
	Wake()
	Beat() error
	Lost() (uint64, error)
	Waiting(load uint64) bool
	Missing() []string
	Close() error
}

// events is a source that makes its picture of the loads from events.
type events struct {
	stream
	name    string
	learned *bpf.Learned
	clock   clock.Clock
	tracker live.Tracker
	still   standing
	lost    uint64
	held    *held // nil: loads that wait for a lock are not looked for

	// waits, asleep and requested read the kernel's state as it is now. They are nil
	// where a stream knows no more than its events have told.
	waits     func(load uint64) bool // for another load
	asleep    func(load uint64) bool // in a wait for a completion
	requested func(request uint64) bool
	moments   *moments // nil: no event tells of locks
}

func openProbe(o OpenOptions) (Source, error) {
	// A huge page for some kilobytes in use is most of what a small heap takes.
	// A kernel without them has nothing to switch off.
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0)
	// What loading leaves behind is collected sooner: a watch stays below 16 MiB at its peak, too.
	debug.SetGCPercent(50)
	if o.Pin == bpf.PinDir {
		// Whatever keeps us from that one, one of our own may do.
		if p, err := bpf.Attach(bpf.PinDir, bpf.Options{Signal: o.Break}); err == nil {
			return probeEvents(p), nil
		}
		kernelfs.MountBPF()
	}
	kernelfs.MountTracefs()
	p, err := bpf.Open(bpf.Options{Signal: o.Break, Pin: o.Pin})
	if err != nil {
		return nil, err
	}
	// Loading took several times the memory that watching does. Below 100 the
	// smallest heap that is collected shrinks as well (runtime.heapMinimum).
	debug.SetGCPercent(20)
	debug.FreeOSMemory()
	return probeEvents(p), nil
}

func probeEvents(p *bpf.Probe) *events {
	l := p.Learned()
	return &events{held: openHeld(p.Wake), stream: p, name: "bpf", learned: &l, clock: clock.System{},
		still: standing{wakes: taskSleeps}, waits: p.Waits, asleep: p.Asleep, requested: p.Requested,
		moments: &moments{contends: p.Contends, requested: p.Requested, asks: asks}}
}

func openTracefs(OpenOptions) (Source, error) {
	kernelfs.MountTracefs()
	s, err := tracefs.Open()
	if err != nil {
		return nil, err
	}
	return &events{held: openHeld(s.Wake), stream: s, name: "tracefs", clock: clock.System{}}, nil
}

func (s *events) Describe() Description {
	return Description{Name: s.name, Missing: s.missing(), Learned: s.learned}
}

func (s *events) missing() []string {
	all := s.Missing()
	if s.held != nil && s.held.blind != nil {
		all = append(all, "who holds a lock that a load waits for ("+s.held.blind.Error()+")")
	}
	return all
}

func (s *events) Next(until time.Time) (Observation, error) {
	for {
		now := s.clock.Now()
		if found := s.standStill(now); len(found) > 0 {
			return Observation{Report: live.Report{Findings: found}}, nil
		}
		if found := s.atMoment(now); len(found) > 0 {
			return Observation{Report: live.Report{Findings: found}}, nil
		}
		if found := s.lookHeld(now); len(found) > 0 {
			return Observation{Report: live.Report{Findings: found}}, nil
		}
		limit := until
		if due, ok := s.moments.due(); ok && due.Before(limit) {
			limit = due
		}
		if due, ok := s.held.due(); ok && due.Before(limit) {
			limit = due
		}
		if next := now.Add(stillLook); s.still.pending && next.Before(limit) {
			limit = next
		}
		s.SetDeadline(limit)
		e, err := s.Read()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && limit.Before(until):
			continue
		case err != nil:
			return Observation{}, err
		}
		o := Observation{e, s.tracker.Apply(e)}
		if e.Kind == bpf.Lock && s.moments != nil {
			s.moments.begin(&e, now)
		}
		if s.asleep != nil && slices.ContainsFunc(o.Findings, func(f live.Finding) bool { return f.Certainty == graph.Likely }) {
			s.still.pending = true
		}
		return o, nil
	}
}

// standStill returns what has become proven because an init stands still.
func (s *events) standStill(now time.Time) []live.Finding {
	if s.asleep == nil || now.Before(s.still.next) {
		return nil
	}
	var found []live.Finding
	for _, id := range s.still.look(now, s.tracker.Suspected(), s.asleep) {
		found = append(found, s.tracker.StoodStill(id, time.Duration(s.clock.Boot()))...)
	}
	return found
}

func (s *events) Lost() (uint64, error) {
	n, err := s.stream.Lost()
	if err == nil && n > s.lost && s.requested != nil {
		s.tracker.Prune(s.Waiting, s.requested)
	}
	s.lost = n
	return n, err
}

// lookHeld looks for loads that wait for what the one who asked for them has.
func (s *events) lookHeld(now time.Time) []live.Finding {
	if s.held == nil {
		return nil
	}
	since, any := s.tracker.Oldest()
	found := s.held.look(now, since, any)
	return slices.DeleteFunc(found, func(f live.Finding) bool { return s.tracker.Told(&f) })
}

// atMoment returns what events told of locks, once it is confirmed.
func (s *events) atMoment(now time.Time) []live.Finding {
	if s.moments == nil || s.held == nil {
		return nil
	}
	return s.moments.look(now, &s.tracker, s.held, s.clock)
}

func (s *events) Close() error {
	if s.held != nil {
		s.held.await() // the look reads by what is closed
		s.held.close()
	}
	return s.stream.Close()
}

func (s *events) Waits(f *live.Finding) bool {
	if f.Kind != graph.Recursion {
		if s.held == nil {
			return false
		}
		// Who was sent SIGKILL may be out of his request, and have the lock still.
		if s.moments != nil && !f.Surveyed && f.Sent <= 0 {
			return s.moments.waits(f, &s.tracker, s.held)
		}
		return s.held.waits(f)
	}
	switch {
	case f.How == bpf.WaitOpen:
		return true // who has only opened the file is stopped before the wait
	case s.waits != nil:
		return s.waits(f.Load)
	}
	return s.Waiting(f.Load)
}

func (s *events) Stuck(f *live.Finding) bool { return s.tracker.Closed(f.Load) }
