// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/internal/plain"
)

// logLine says a finding in one line for the kernel's log. dropped is how many
// before it were not logged.
func logLine(f *live.Finding, dropped int) string {
	before := ""
	if dropped > 0 {
		before = fmt.Sprintf("%d findings before this were not logged; ", dropped)
	}
	return "safeload: " + before + sentence(f)
}

// sentence says a finding in one line. What others have chosen in it is made plain.
func sentence(f *live.Finding) string {
	var b strings.Builder
	plain.Fprintf(&b, "module %s: load %s (%s): ", f.Module, f.Kind.Wait(), live.Word(f.Certainty))
	for i := range f.Chain {
		s := &f.Chain[i]
		if i > 0 {
			b.WriteString(" -> ")
		}
		switch s.What {
		case graph.HopRequest:
			plain.Fprintf(&b, "request %s by %s[%d]", s.Request, s.Comm, s.TID)
		case graph.HopWait:
			plain.Fprintf(&b, "wait of %s[%d] for %s", s.Comm, s.PID, s.Module)
		default:
			by := ""
			if s.Module != "" {
				by = s.Module + " by "
			}
			plain.Fprintf(&b, "%s %s%s[%d]", s.What, by, s.Comm, s.PID)
		}
	}
	if f.Sent > 0 {
		plain.Fprintf(&b, "; sent %s", unix.SignalName(unix.Signal(f.Sent)))
	}
	return b.String()
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
