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
	"safeload/internal/terminal"
	"safeload/watch"
	"safeload/watch/screen"
)

// fits tells whether there is a live view: standard input and output are a terminal, which has room for it. A terminal
// without a size, as a serial console may be, gets lines.
func (o *watchOptions) fits(stdout io.Writer) bool {
	if o.json || o.once || o.verbose || o.lines || !terminal.Is(os.Stdin) || !terminal.Is(stdout) {
		return false
	}
	size, err := unix.IoctlGetWinsize(int(stdout.(*os.File).Fd()), unix.TIOCGWINSZ)
	term := os.Getenv("TERM")
	return err == nil && size.Col >= 60 && size.Row >= 12 && term != "" && term != "dumb"
}

// watchScreen is the live view of a watch, and the findings that are printed to the terminal when the view ends.
type watchScreen struct {
	*screen.View
	findings bytes.Buffer
}

// findingsMost bounds what is printed in the end.
const findingsMost = 64 << 10

// show begins to show a watch: as a live view where one fits, else, or where the kind of the terminal is not known, as
// lines. The view ends with leave, or when its user ends it, which ends the context, too.
func (p *watchPrinter) show(ctx context.Context, o watchOptions, d watch.Description) (_ context.Context, to watch.Reporter, leave func()) {
	if !o.fits(p.out) {
		p.start(d)
		return ctx, p, func() {}
	}
	s := &watchScreen{}
	s.View = screen.New(d, s.text)
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
		_, _ = p.out.Write(s.findings.Bytes())
	})
}

// text returns a finding as lines, and keeps them for the end.
func (s *watchScreen) text(f *live.Finding) []string {
	var b bytes.Buffer
	(&watchPrinter{out: &b, err: io.Discard}).Finding(f)
	if s.findings.Len() < findingsMost {
		s.findings.Write(b.Bytes())
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}
