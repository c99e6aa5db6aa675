// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := newProgress(out, filepath.Join(dir, "times"))
	var guests []*Guest
	for _, group := range []string{"a", "b", "c"} {
		g := &Guest{Kernel: Kernel{Key: "arm-6.12"}, Group: group, Mode: Safe, took: 3 * time.Second}
		p.times[g.name()] = 100
		guests = append(guests, g)
	}
	p.total(guests)
	now := time.Now()
	left := func(seconds float64) time.Duration {
		return time.Duration(seconds / float64(runtime.NumCPU()) * float64(time.Second)).Round(time.Second)
	}
	if got := p.remaining(now); got != max(left(300), 100*time.Second) {
		t.Errorf("of three: %s", got)
	}
	p.waits(guests[0])
	if text := p.text(now); !strings.Contains(text, "0 of 3 done") || !strings.Contains(text, "waiting for other guests") {
		t.Error(text)
	}
	p.started(guests[0])
	p.running[guests[0].name()] = now.Add(-40 * time.Second)
	if got := p.remaining(now); got != max(left(260), 100*time.Second) {
		t.Errorf("40 s later: %s", got)
	}
	if text := p.text(now); !strings.HasSuffix(text, "; running: arm-6.12-a-safe 40 s") {
		t.Error(text)
	}
	p.running[guests[0].name()] = now.Add(-400 * time.Second)
	if got := p.remaining(now); got != max(left(200), 100*time.Second) {
		t.Errorf("a guest that takes longer than last time: %s", got)
	}
	for _, g := range guests {
		p.ended(g)
	}
	if got := p.remaining(now); got != 0 || p.done != 3 {
		t.Errorf("at the end: %s, %d done", got, p.done)
	}
	p.end()
	p.end()
	p.single = true
	if p.key(&Guest{Kernel: Kernel{Key: "arm-6.12"}, Group: "a", Mode: Safe, Cases: []*Case{{Name: "self"}}}) != "arm-6.12-a-safe self" {
		t.Error("the time of a single case is kept as that of its group")
	}
	// Nobody looks at a line that changes in a file.
	if text, err := os.ReadFile(out.Name()); err != nil || strings.Contains(string(text), "\x1b") || !strings.Contains(string(text), "3 guests, about") {
		t.Errorf("%q, %v", text, err)
	}
}

// The times of another machine serve until there are own ones, and name guests that exist.
func TestUsual(t *testing.T) {
	p := newProgress(os.Stderr, filepath.Join(t.TempDir(), "times"))
	if len(p.usual) < 60 {
		t.Fatalf("%d usual times", len(p.usual))
	}
	g := &Guest{Kernel: Kernel{Key: "arm-6.12"}, Group: "main", Mode: Safe, limit: time.Hour}
	if got := p.expected(g); got != p.usual["arm-6.12-main-safe"] || got == 0 {
		t.Errorf("without own times: %g s", got)
	}
	p.times[g.name()] = 7
	if got := p.expected(g); got != 7 {
		t.Errorf("with an own time: %g s", got)
	}
	g.Group = "new"
	if got := p.expected(g); got != g.limit.Seconds()/4 {
		t.Errorf("what nobody has run: %g s", got)
	}
}

// Who runs guests takes the first in the plan's order among those whose kernel is ready, and ends when there will be none.
func TestLine(t *testing.T) {
	l := newLine()
	first, second, third := &Guest{Group: "1"}, &Guest{Group: "2"}, &Guest{Group: "3"}
	before := func(a, b *Guest) int { return strings.Compare(a.Group, b.Group) }
	l.add([]*Guest{second}, before)
	l.add([]*Guest{third, first}, before)
	for _, want := range []*Guest{first, second, third} {
		if g, ok := l.next(); !ok || g != want {
			t.Fatalf("%v, not %v", g, want)
		}
	}
	got := make(chan bool)
	go func() { _, ok := l.next(); got <- ok }()
	go func() { _, ok := l.next(); got <- ok }()
	l.close()
	for range 2 {
		if <-got {
			t.Error("a guest from an empty line")
		}
	}
}
