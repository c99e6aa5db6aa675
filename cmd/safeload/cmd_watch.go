// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/internal/plain"
	"safeload/watch"
)

type watchOptions struct {
	json, verbose, once bool
	lines               bool
	signal              breakFlag
	duration            time.Duration
	ready, pin, source  string
	record              string
	journal             bool
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
	fs.BoolVar(&o.verbose, "v", false, "print also every load and request, with its duration")
	fs.BoolVar(&o.once, "once", false, "exit with 3 on the first finding")
	fs.Var(&o.signal, "break", "send a proven waiter SIGTERM, or the signal named")
	fs.DurationVar(&o.duration, "duration", 0, "stop after this long")
	fs.StringVar(&o.ready, "ready-file", "", "make this file once everything is attached")
	fs.StringVar(&o.pin, "pin", bpf.PinDir, "where to pin the maps that modprobe reads; empty: nowhere")
	fs.StringVar(&o.source, "source", "", "use only this `source`: bpf, tracefs or proc; default: the best that works")
	fs.BoolVar(&o.lines, "lines", false, "print lines on a terminal as well, not the live view")
	fs.StringVar(&o.record, "record", "", "also write all that is seen to this `file`, for safeload timeline; a former one becomes FILE.1")
	fs.BoolVar(&o.journal, "journal", false, "also send each load and finding to the journal of systemd, with fields such as SAFELOAD_MODULE")
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return misused("watch", stderr, "it takes no argument, not %q", fs.Arg(0))
	}
	if o.source != "" && !slices.Contains(watch.Sources(), o.source) {
		return misused("watch", stderr, "--source %q: %s", o.source, strings.Join(watch.Sources(), ", "))
	}
	code, err := followLoads(o, stdout, stderr)
	if err != nil {
		plain.Fprintf(stderr, "safeload: watch: %v\n", err)
	}
	return code
}

// followLoads watches until a signal or an option ends it.
func followLoads(o watchOptions, stdout, stderr io.Writer) (int, error) {
	if o.ready != "" {
		// A watch that was killed has left its file, which says "ready" while this one is not.
		if err := watch.ClearReady(o.ready); err != nil {
			return exitError, err
		}
	}
	sig := syscall.Signal(o.signal)
	told := openTold(o)
	defer told.close()
	src, err := watch.Open(watch.OpenOptions{Source: o.source, Break: sig, Pin: o.pin})
	if err != nil {
		var none *watch.Unavailable
		if errors.As(err, &none) {
			for _, why := range none.Tried {
				plain.Fprintf(stderr, "safeload: watch: %s\n", why)
			}
			err = errors.New("nothing to watch with: see above")
		}
		return exitError, err
	}
	defer src.Close()
	ctx, stop := untilSignalled()
	defer stop()
	out := newWatchPrinter(o, stdout, stderr)
	ctx, reporter, leave := out.show(ctx, o, src.Describe())
	defer leave()
	reporter, err = told.begin(o, src.Describe(), reporter)
	if err != nil {
		return exitError, err
	}
	defer told.end()
	if o.ready != "" {
		if err := watch.MakeReady(o.ready); err != nil {
			return exitError, err
		}
		defer watch.ClearReady(o.ready)
	}
	sum, err := watch.New(src, watch.Options{Break: sig, Once: o.once, Duration: o.duration}, reporter).Run(ctx)
	code := exitOK
	switch {
	case o.once && sum.Findings > 0:
		code = exitFound
	case err != nil:
		code = exitError
	}
	if leave(); err == nil {
		out.end(sum)
	}
	return code, err
}

// untilSignalled returns a context that SIGINT, SIGTERM or SIGHUP ends. A signal that
// was ignored at the start stays so: nohup ignores SIGHUP, and a shell ignores SIGINT
// for what it runs in its background.
func untilSignalled() (context.Context, context.CancelFunc) {
	var all []os.Signal
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		if !signal.Ignored(s) {
			all = append(all, s)
		}
	}
	if len(all) == 0 { // NotifyContext would take that for all signals
		return context.WithCancel(context.Background())
	}
	return signal.NotifyContext(context.Background(), all...)
}
