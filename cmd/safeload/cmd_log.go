// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"safeload/bpf"
	"safeload/internal/plain"
	"safeload/internal/registry"
	"safeload/kmod"
	"safeload/timeline"
)

func runLog(args []string, stdout, stderr io.Writer) int {
	var f timeline.Filter
	now := thisMoment()
	flags := flag.NewFlagSet("log", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "one JSON object a line")
	follow := flags.Bool("follow", false, "go on with what is added, until a signal")
	flags.StringVar(&f.Module, "module", "", "only of this `module`")
	flags.StringVar(&f.Unit, "unit", "", "only by processes of this systemd `unit`")
	flags.Func("uid", "only by processes of this `user`, a number", func(s string) error {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return errors.New("not a number")
		}
		uid := uint32(n)
		f.UID = &uid
		return nil
	})
	flags.Func("since", "only what ended after this `time`, and what goes on: 10m ago, or 2006-01-02T15:04:05Z", func(s string) (err error) {
		f.Since, err = since(s, now.Time)
		return err
	})
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	f.Module = kmod.NormalizeName(f.Module)
	if flags.NArg() > 1 {
		return misused("log", stderr, "it takes one record, not %d", flags.NArg())
	}
	err := writeLog(&f, flags.Arg(0), now, stdout, stderr, *asJSON, *follow)
	if err != nil {
		plain.Fprintf(stderr, "safeload: log: %v\n", err)
		return exitError
	}
	return exitOK
}

func writeLog(f *timeline.Filter, name string, now timeline.Now, stdout, stderr io.Writer, asJSON, follow bool) error {
	h, err := openHistory(name)
	if err != nil {
		return err
	}
	defer h.close()
	out := bufio.NewWriter(stdout)
	say := noticesTo("log", out, stderr, asJSON)
	to := &teller{notice: func(n *notice) {
		say(n)
		if follow {
			out.Flush()
		}
	}}
	to.entry = func(t *timeline.Timeline, e timeline.Entry) {
		if !f.Wants(t, e) {
			return
		}
		h.why.explain(t, e)
		if asJSON {
			if b, err := e.JSON(t); err == nil { // no entry fails
				out.Write(append(b, '\n'))
			}
		} else {
			fmt.Fprintln(out, e.Text(t))
		}
		if follow {
			out.Flush()
		}
	}
	if follow {
		ctx, stop := untilSignalled()
		defer stop()
		err = h.follow(ctx, name, now, to, stderr)
	} else {
		err = h.tell(now, to)
	}
	if err == nil {
		err = out.Flush()
	}
	return err
}

// reasons say of each load why it came. The zero value knows what the load and its request tell; after read, also what the
// other loads of its process do, as those that need it come after it.
type reasons struct {
	tree  *timeline.Tree
	known map[timeline.ID]*timeline.Reason
}

// read reads a file, and goes back to where it was. A pipe is not read: it has no timeline.
func (r *reasons) read(in *os.File) (*timeline.Timeline, error) {
	if st, err := in.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, nil
	}
	t, err := timeline.Read(in)
	if err != nil {
		return nil, err
	}
	r.open(t)
	r.tree.Explain(t)
	r.known = make(map[timeline.ID]*timeline.Reason, len(t.Loads))
	for _, o := range t.Loads {
		r.known[o.ID] = o.Why
	}
	_, err = in.Seek(0, io.SeekStart)
	return t, err
}

// learn explains what a ring has.
func (r *reasons) learn(t *timeline.Timeline) {
	r.open(t)
	r.tree.Explain(t)
}

// has tells whether a load was read from the file.
func (r *reasons) has(e timeline.Entry) bool {
	if e.Load == nil {
		return false
	}
	_, ok := r.known[e.Load.ID]
	return ok
}

func (r *reasons) open(t *timeline.Timeline) {
	if r.tree == nil {
		r.tree = timeline.OpenTree(t.Start.Release)
	}
}

func (r *reasons) explain(t *timeline.Timeline, e timeline.Entry) {
	if e.Load == nil || e.Load.Why != nil {
		return
	}
	if why, ok := r.known[e.Load.ID]; ok {
		e.Load.Why = why
		return
	}
	r.open(t)
	e.Load.Why = r.tree.Requested(e.Load)
}

func (r *reasons) close() {
	if r.tree != nil {
		r.tree.Close()
	}
}

// followRecord reads a record and what is added to it, then the next one that takes its place, until its context ends.
func followRecord(ctx context.Context, name string, now timeline.Now, print func(*timeline.Timeline, timeline.Entry), stderr io.Writer) error {
	for {
		in, err := openRecord(name)
		if err != nil {
			return err
		}
		f := &follower{in, ctx, false}
		err = timeline.Log(f, now, print)
		in.Close()
		if !f.gone {
			return err
		}
		// No error: a record may be replaced before it has a line.
		plain.Fprintf(stderr, "safeload: log: the record was replaced by a new one\n")
	}
}

// thisMoment is the time now, by the clocks that a record of this boot has.
func thisMoment() timeline.Now {
	return timeline.Now{Time: time.Now(), Boot: bpf.Now(), BootID: registry.BootID()}
}

// since reads a time of day, or a duration until now.
func since(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("neither a duration such as 10m nor a time such as 2006-01-02T15:04:05Z")
}

// openRecord opens a record, by default that of safeload-watch.service.
func openRecord(name string) (*os.File, error) {
	f, err := os.Open(cmp.Or(name, timeline.DefaultRecord))
	switch {
	case err == nil:
		return f, nil
	case name != "":
		return nil, fmt.Errorf("read the record: %w", err)
	}
	return nil, fmt.Errorf("read the record: %w; safeload watch --record %s writes it", err, timeline.DefaultRecord)
}

// follower reads a file that grows, until its context ends or the file is replaced.
type follower struct {
	file *os.File
	ctx  context.Context
	gone bool // replaced
}

func (f *follower) Read(b []byte) (int, error) {
	for {
		replaced := f.replaced() // asked before the read: nothing is added after it
		n, err := f.file.Read(b)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		if replaced {
			f.gone = true
			return 0, io.EOF
		}
		select {
		case <-f.ctx.Done():
			return 0, io.EOF
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// replaced tells whether the name is another file's now, or the file is shorter than what was read of it. A pipe is never
// replaced.
func (f *follower) replaced() bool {
	own, err := f.file.Stat()
	if err != nil || !own.Mode().IsRegular() {
		return false
	}
	at, err := f.file.Seek(0, io.SeekCurrent)
	if err == nil && own.Size() < at {
		return true
	}
	named, err := os.Stat(f.file.Name())
	return err == nil && named.Mode().IsRegular() && !os.SameFile(own, named)
}
