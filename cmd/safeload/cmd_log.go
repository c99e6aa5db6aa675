// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"safeload/internal/plain"
	"safeload/timeline"
)

func runLog(args []string, stdout, stderr io.Writer) int {
	var f timeline.Filter
	flags := flag.NewFlagSet("log", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "one JSON object a line")
	follow := flags.Bool("follow", false, "go on with what happens, until a signal")
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
	flags.Func("since", "only what ended after this `time`: 10m ago, or 2006-01-02T15:04:05Z", func(s string) (err error) {
		f.Since, err = since(s, time.Now())
		return err
	})
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	if flags.NArg() > 1 {
		return misused("log", stderr, "it takes one record, not %d", flags.NArg())
	}
	in, err := openRecord(flags.Arg(0))
	if err != nil {
		plain.Fprintf(stderr, "safeload: log: %v\n", err)
		return exitError
	}
	defer in.Close()
	ctx, stop := untilSignalled()
	defer stop()
	from := io.Reader(in)
	if *follow {
		from = &follower{in, ctx}
	}
	out := bufio.NewWriter(stdout)
	err = timeline.Log(from, func(t *timeline.Timeline, e timeline.Entry) {
		if !f.Wants(t, e) {
			return
		}
		if *asJSON {
			if b, err := e.JSON(t); err == nil { // which fails of no such entry
				out.Write(append(b, '\n'))
			}
		} else {
			fmt.Fprintln(out, e.Text(t))
		}
		if *follow {
			out.Flush()
		}
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		plain.Fprintf(stderr, "safeload: log: %v\n", err)
		return exitError
	}
	return exitOK
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

// openRecord opens a record, by default the one of the unit.
func openRecord(name string) (*os.File, error) {
	if name != "" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("read the record: %w", err)
		}
		return f, nil
	}
	f, err := os.Open(timeline.DefaultRecord)
	if err != nil {
		return nil, fmt.Errorf("read the record: %w; safeload watch --record %s writes it", err, timeline.DefaultRecord)
	}
	return f, nil
}

// follower reads a file that grows, until its context ends.
type follower struct {
	file *os.File
	ctx  context.Context
}

func (f *follower) Read(b []byte) (int, error) {
	for {
		n, err := f.file.Read(b)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		select {
		case <-f.ctx.Done():
			return 0, io.EOF
		case <-time.After(200 * time.Millisecond):
		}
	}
}
