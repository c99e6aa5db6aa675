// SPDX-License-Identifier: Apache-2.0

// Package watch follows module loads while they happen, tells which of them
// wait for themselves, and ends such a wait if it is told to.
//
// A [Source] says what happens: the BPF probe, a tracefs instance, or samples
// of /proc. [Watch] decides what is done about a finding: who is signalled, when
// a signal to another of the same circle was enough, and what is logged. Nothing
// here prints; a [Reporter] is told.
package watch

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/internal/clock"
	"safeload/internal/kmsg"
)

// Options say how long a watch lasts and what it does about a finding.
type Options struct {
	Break    syscall.Signal // for a proven waiter; 0 signals nobody
	Once     bool           // end with the first finding
	Duration time.Duration  // end after this long; 0 does not
}

// Reporter is told what a watch sees and does, in order, by one goroutine.
type Reporter interface {
	Finding(*live.Finding)
	// Signalled tells of a signal that was sent later than its finding was told.
	Signalled(*live.Finding)
	// Freed tells that the waiter of a finding has left its wait.
	Freed(*live.Freed)
	// Seen tells of all that a source sees, findings or not.
	Seen(*Observation)
	// Lost tells how many more events were lost.
	Lost(events uint64)
	// Note tells of what could not be done.
	Note(format string, a ...any)
}

// Summary is what a watch has seen in all.
type Summary struct {
	Findings int
	Lost     uint64 // events
}

// Watch follows one source. Make it with [New].
type Watch struct {
	source   Source
	reporter Reporter
	options  Options
	clock    clock.Clock
	breaker  breaker
	logged   limiter
	sum      Summary

	// Tests replace what reaches the system.
	log      func(line string) error
	describe func(*live.Finding)
}

// New makes a watch of a source, which stays the caller's to close.
func New(s Source, o Options, r Reporter) *Watch {
	return &Watch{
		source: s, reporter: r, options: o, clock: clock.System{},
		breaker:  breaker{signal: o.Break, source: s, send: signalProcess, hold: holdProcess},
		logged:   limiter{max: 10, every: time.Minute},
		log:      func(line string) error { return kmsg.Write(kmsg.Warning, line) },
		describe: describe,
	}
}

// Run watches until ctx is done, the duration is over, or the first finding if
// once is wanted. The summary holds what was seen, with an error too.
func (w *Watch) Run(ctx context.Context) (Summary, error) {
	defer context.AfterFunc(ctx, w.source.Wake)()
	err := w.follow(ctx)
	if err == nil {
		err = w.countLost()
	}
	return w.sum, err
}

func (w *Watch) follow(ctx context.Context) error {
	now := w.clock.Now()
	beat := now.Add(bpf.Heartbeat)
	var end time.Time
	if w.options.Duration > 0 {
		end = now.Add(w.options.Duration)
	}
	for ctx.Err() == nil {
		now := w.clock.Now()
		if !end.IsZero() && !now.Before(end) {
			return nil
		}
		if !now.Before(beat) {
			if err := w.beat(); err != nil {
				return err
			}
			beat = now.Add(bpf.Heartbeat)
		}
		until := beat
		if !end.IsZero() && end.Before(until) {
			until = end
		}
		w.retry(now)
		if next, ok := w.breaker.next(); ok && next.Before(until) {
			until = next
		}
		o, err := w.source.Next(until)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ErrWoken):
			continue
		case err != nil:
			return err
		}
		if w.take(&o); len(o.Findings) > 0 && w.options.Once {
			return nil
		}
	}
	return nil
}

func (w *Watch) beat() error {
	if err := w.source.Beat(); err != nil {
		return err
	}
	return w.countLost()
}

func (w *Watch) countLost() error {
	n, err := w.source.Lost()
	if err != nil {
		return err
	}
	if n > w.sum.Lost {
		w.reporter.Lost(n - w.sum.Lost)
		w.sum.Lost = n
	}
	return nil
}

// take acts on what a source has seen and reports it.
func (w *Watch) take(o *Observation) {
	for i := range o.Findings {
		w.find(&o.Findings[i])
	}
	if o.Freed != nil {
		w.reporter.Freed(o.Freed)
	}
	w.reporter.Seen(o)
}

// find acts on a finding before it is told: who waits is to be freed first.
func (w *Watch) find(f *live.Finding) {
	w.sum.Findings++
	now := w.clock.Now()
	if err := w.breaker.free(f, now); err != nil {
		w.reporter.Note("%v", err)
	}
	w.describe(f)
	w.reporter.Finding(f)
	if ok, dropped := w.logged.allow(now); ok {
		// A kernel log that cannot be written leaves the reporter.
		_ = w.log(logLine(f, dropped))
	}
}

// retry signals those whom the end of another's wait has not freed.
func (w *Watch) retry(now time.Time) {
	signalled, errs := w.breaker.retry(now)
	for _, f := range signalled {
		w.reporter.Signalled(&f)
	}
	for _, err := range errs {
		w.reporter.Note("%v", err)
	}
	for _, s := range w.breaker.lookAgain(now) {
		w.reporter.Note("%s", s)
		if ok, _ := w.logged.allow(now); ok {
			_ = w.log("safeload watch: " + s)
		}
	}
}
