// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"safeload/bpf/live"
	"safeload/watch"
	"safeload/watch/screen"
)

// fits tells whether a watch is for somebody who looks at a terminal that has room for more than lines. One without a size,
// such as a serial console may be, gets lines.
func (o *watchOptions) fits(stdout io.Writer) bool {
	if o.json || o.once || o.verbose || o.lines || !isTerminal(os.Stdin) || !isTerminal(stdout) {
		return false
	}
	size, err := unix.IoctlGetWinsize(int(stdout.(*os.File).Fd()), unix.TIOCGWINSZ)
	term := os.Getenv("TERM")
	return err == nil && size.Col >= 60 && size.Row >= 12 && term != "" && term != "dumb"
}

// watchScreen is a terminal that shows a watch, and what is to be left there when it ends.
type watchScreen struct {
	*screen.View
	said bytes.Buffer
}

// saidMost bounds what is left.
const saidMost = 64 << 10

// show begins to show a watch: on a terminal that fits until leave, or until its reader ends it and with it the context;
// else, and where the terminal is of a kind that is not known, by lines.
func (p *watchPrinter) show(ctx context.Context, o watchOptions, d watch.Description) (_ context.Context, told watch.Reporter, leave func()) {
	if !o.fits(p.out) {
		p.start(d)
		return ctx, p, func() {}
	}
	s := &watchScreen{}
	s.View = screen.New(d, s.tell)
	until, quit := context.WithCancel(ctx)
	terminal, err := screen.Open(s.View, "", quit)
	if err != nil {
		quit()
		p.start(d)
		return ctx, p, func() {}
	}
	return until, s, sync.OnceFunc(func() {
		terminal.Close()
		quit()
		_, _ = p.out.Write(s.said.Bytes())
	})
}

// tell says a finding in lines, and keeps it for when the terminal is given back.
func (s *watchScreen) tell(f *live.Finding) []string {
	var b bytes.Buffer
	(&watchPrinter{out: &b, err: io.Discard}).Finding(f)
	if s.said.Len() < saidMost {
		s.said.Write(b.Bytes())
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}
