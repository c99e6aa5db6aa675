// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/internal/kmsg"
	"safeload/internal/plain"
)

func init() {
	commands = append(commands, command{
		name:    "watch",
		args:    "[--json] [-v] [--break[=TERM|KILL]] [--once] [--duration D] [--ready-file FILE] [--pin DIR] [--source NAME]",
		summary: "watch module loads live; flag, and break, those that wait for themselves",
		run:     runWatch,
	})
}

type watchOptions struct {
	json, verbose, once bool
	signal              breakFlag
	duration            time.Duration
	ready, pin, source  string
}

// breakFlag is --break, with or without a signal.
type breakFlag syscall.Signal

func (b *breakFlag) IsBoolFlag() bool { return true }
func (b *breakFlag) String() string   { return "" }
func (b *breakFlag) Set(s string) error {
	switch strings.TrimPrefix(strings.ToUpper(s), "SIG") {
	case "TRUE", "TERM":
		*b = breakFlag(syscall.SIGTERM)
	case "KILL":
		*b = breakFlag(syscall.SIGKILL)
	case "FALSE":
		*b = 0
	default:
		return errors.New("not TERM or KILL")
	}
	return nil
}

func runWatch(args []string, stdout, stderr io.Writer) int {
	var o watchOptions
	fs := flag.NewFlagSet("watch", flag.ContinueOnError)
	fs.BoolVar(&o.json, "json", false, "one JSON object a line")
	fs.BoolVar(&o.verbose, "v", false, "also every load and request, with its duration")
	fs.BoolVar(&o.once, "once", false, "exit with 3 on the first finding")
	fs.Var(&o.signal, "break", "send a proven waiter SIGTERM, or the signal named")
	fs.DurationVar(&o.duration, "duration", 0, "stop after this long")
	fs.StringVar(&o.ready, "ready-file", "", "make this file once everything is attached")
	fs.StringVar(&o.pin, "pin", bpf.PinDir, "where to pin the maps that modprobe reads; empty: nowhere")
	fs.StringVar(&o.source, "source", "", "bpf, tracefs or proc, and no other; default the best there is")
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return misused("watch", stderr, "it takes no argument, not %q", fs.Arg(0))
	}
	if o.source != "" && !slices.Contains(sources, o.source) {
		return misused("watch", stderr, "--source %q: %s", o.source, strings.Join(sources, ", "))
	}
	code, err := watch(o, stdout, stderr)
	if err != nil {
		plain.Fprintf(stderr, "safeload: watch: %v\n", err)
	}
	return code
}

// watch runs until it is told to stop, by a signal or by its options.
func watch(o watchOptions, stdout, stderr io.Writer) (int, error) {
	if o.ready != "" {
		// What a killed watch left must not say "ready" while this one is not.
		if err := clearReady(o.ready); err != nil {
			return exitError, err
		}
	}
	src, err := openSource(o, stderr)
	if err != nil {
		return exitError, err
	}
	defer src.Close()
	w := &watcher{o: o, src: src, out: newWatchPrinter(o, stdout, stderr), kmsg: limiter{max: 10, every: time.Minute}}

	var stop atomic.Bool
	signals := make(chan os.Signal, 1)
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if !signal.Ignored(s) { // by nohup, or a shell that started us behind itself
			signal.Notify(signals, s)
		}
	}
	defer signal.Stop(signals)
	go func() {
		if _, ok := <-signals; ok {
			stop.Store(true)
			src.Wake()
		}
	}()

	// A finding is worth telling at once on a board that is busy booting.
	// Without the right to it we are merely later.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -10)
	w.out.start(src)
	if o.ready != "" {
		if err := makeReady(o.ready); err != nil {
			return exitError, err
		}
		defer clearReady(o.ready)
	}
	return w.run(&stop)
}

type watcher struct {
	o        watchOptions
	src      *namedSource
	tracker  live.Tracker
	out      *watchPrinter
	kmsg     limiter
	standing standing
	claimed  []claim
	found    int
	lost     uint64
}

func (w *watcher) run(stop *atomic.Bool) (int, error) {
	var end time.Time
	if w.o.duration > 0 {
		end = time.Now().Add(w.o.duration)
	}
	beat := time.Now().Add(bpf.Heartbeat)
	for !stop.Load() {
		now := time.Now()
		if !end.IsZero() && !now.Before(end) {
			break
		}
		if !now.Before(beat) {
			if err := w.beat(); err != nil {
				return exitError, err
			}
			beat = now.Add(bpf.Heartbeat)
		}
		until := beat
		if !end.IsZero() && end.Before(until) {
			until = end
		}
		soon, found := w.stood(now)
		if found && w.o.once {
			return exitFound, w.end()
		}
		if w.reclaim(now); len(w.claimed) > 0 {
			soon = true
		}
		if next := now.Add(stillLook); soon && next.Before(until) {
			until = next
		}
		w.src.SetDeadline(until)
		found, err := w.next()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errWoken):
			continue
		case err != nil:
			return exitError, err
		}
		if found && w.o.once {
			return exitFound, w.end()
		}
	}
	if err := w.end(); err != nil {
		return exitError, err
	}
	return exitOK, nil
}

func (w *watcher) end() error {
	if err := w.countLost(); err != nil {
		return err
	}
	w.out.end(w.found, w.lost)
	return nil
}

func (w *watcher) beat() error {
	if err := w.src.Beat(); err != nil {
		return err
	}
	return w.countLost()
}

func (w *watcher) countLost() error {
	n, err := w.src.Lost()
	if err != nil {
		return err
	}
	if n > w.lost {
		w.out.lost(n - w.lost)
		w.lost = n
		if p, ok := w.src.source.(*bpf.Probe); ok {
			w.tracker.Prune(p.Waiting, p.Requested)
		}
	}
	return nil
}

// next waits for what the source has next and reports whether it told of a
// finding.
func (w *watcher) next() (found bool, err error) {
	if s, ok := w.src.source.(*procSource); ok {
		findings, err := s.Sample()
		for i := range findings {
			w.tell(&findings[i])
		}
		return len(findings) > 0, err
	}
	e, err := w.src.Read()
	if err != nil {
		return false, err
	}
	return w.handle(e), nil
}

// tell acts on a finding and says so.
func (w *watcher) tell(f *live.Finding) {
	w.found++
	w.act(f)
	w.out.finding(f)
	if ok, dropped := w.kmsg.allow(time.Now()); ok {
		line := kmsgLine(f)
		if dropped > 0 {
			line = fmt.Sprintf("safeload: %d findings before this were not logged; %s", dropped, strings.TrimPrefix(line, "safeload: "))
		}
		// A kernel log that cannot be written leaves our own output.
		_ = kmsg.Write(kmsg.Warning, line)
	}
}

// handle takes an event in and reports whether it told of a finding.
func (w *watcher) handle(e bpf.Event) bool {
	r := w.tracker.Apply(e)
	for i := range r.Findings {
		w.tell(&r.Findings[i])
	}
	if r.Freed != nil {
		w.out.freed(r.Freed)
	}
	if w.o.verbose {
		w.out.verbose(e, &r)
	}
	return len(r.Findings) > 0
}

// act sends the signal where the probe has not: the source cannot, or the
// finding became proven only after the wait began.
func (w *watcher) act(f *live.Finding) {
	sig := syscall.Signal(w.o.signal)
	if sig != 0 && f.Signal == bpf.Claimed {
		w.claimed = append(w.claimed, claim{*f, time.Now().Add(stillLook)})
		return
	}
	if sig == 0 || f.Signal > 0 || f.Certainty != bpf.Proven || f.How == bpf.WaitFileHard {
		return
	}
	waiting := w.src.Waiting
	if s, ok := w.src.source.(*procSource); ok {
		waiting = func(uint64) bool { return s.still(f.TGID) }
	}
	if err := signalWaiter(f, sig, waiting); err != nil {
		w.out.note("cannot signal %s: %v", process(f.Comm, f.TGID), err)
		return
	}
	f.Signal = int32(sig)
}

// claim is a waiter that got no signal because another of its circle did.
type claim struct {
	f  live.Finding
	at time.Time // to see whether that was enough
}

// reclaim signals those whom the end of another's wait has not freed: a second
// modprobe of the same command waits as the first did.
func (w *watcher) reclaim(now time.Time) {
	var later []claim
	for _, c := range w.claimed {
		if now.Before(c.at) {
			later = append(later, c)
			continue
		}
		c.f.Signal = bpf.Unsent
		if !w.tracker.Closed(c.f.Load) {
			continue
		}
		if w.act(&c.f); c.f.Signal > 0 {
			w.out.signalled(&c.f)
		}
	}
	w.claimed = later
}

// signalWaiter holds on to the process before it asks whether that is still in
// the wait, so that no other of the same pid is hit.
func signalWaiter(f *live.Finding, sig syscall.Signal, waiting func(load uint64) bool) error {
	fd, err := unix.PidfdOpen(int(f.TGID), 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	if f.How != bpf.WaitOpen && !waiting(f.Load) {
		return errors.New("it has left the wait")
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		return fmt.Errorf("pidfd_send_signal: %w", err)
	}
	return nil
}

// limiter lets max through in every span.
type limiter struct {
	max   int
	every time.Duration
	since time.Time
	n     int
}

// allow also tells how many were not let through in the span before.
func (l *limiter) allow(now time.Time) (ok bool, dropped int) {
	if now.Sub(l.since) >= l.every {
		dropped = max(0, l.n-l.max)
		l.since, l.n = now, 0
	}
	l.n++
	return l.n <= l.max, dropped
}
