// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"safeload/bpf"
	"safeload/docs/schema"
	"safeload/internal/clock"
)

// begun is the first line of a record.
func begun(t testing.TB) string {
	s := newScene(t)
	return s.out.String()
}

// writeAll writes a timeline in all forms, and returns them.
func writeAll(t testing.TB, tl *Timeline) (text, lines, html string) {
	var all [4]bytes.Buffer
	for i, write := range []func(io.Writer, *Timeline) error{WriteText, WriteJSON, WriteHTML, WriteSVG} {
		if err := write(&all[i], tl); err != nil {
			t.Fatal(err)
		}
	}
	return all[0].String(), all[1].String(), all[2].String()
}

// TestChain: each of 80 loads waits for the next, deeper than a critical path follows.
func TestChain(t *testing.T) {
	const n = 80
	s := newScene(t)
	for i := uint64(1); i <= n; i++ {
		s.event(bpf.Event{Kind: bpf.LoadBegin, ID: i, TID: 100 + uint32(i), Ret: 3})
	}
	for i := uint64(1); i < n; i++ {
		s.event(bpf.Event{Kind: bpf.Wait, ID: i, Peer: i + 1, TID: 100 + uint32(i), How: uint32(bpf.WaitFile), Ret: bpf.Unsent})
	}
	for i := uint64(n); i > 0; i-- {
		s.event(bpf.Event{Kind: bpf.Init, ID: i, TID: 100 + uint32(i), Name: fmt.Sprintf("link%d", i)})
		s.event(bpf.Event{Kind: bpf.LoadEnd, ID: i, TID: 100 + uint32(i)})
	}
	text, lines, html := writeAll(t, s.read())
	if !strings.Contains(text, "link40") || !strings.Contains(html, "link40") {
		t.Error("the path is not told")
	}
	if _, err := schema.Check("timeline", strings.NewReader(lines)); err != nil {
		t.Error(err)
	}
}

// TestTorn: what a power cut leaves behind the last line, zeros or half of another, ends the record.
func TestTorn(t *testing.T) {
	s := incident(t) // without its end
	for _, tail := range []string{strings.Repeat("\x00", 5000), `{"schema":1,"type":"eve` + strings.Repeat("\x00", 500), "\xff\xfe\n"} {
		tl, err := Read(strings.NewReader(s.out.String() + tail))
		if err != nil || tl.Whole || len(tl.Loads) != 4 {
			t.Errorf("%.30q: %v", tail, err)
		}
		n := 0
		if err := Log(strings.NewReader(s.out.String()+tail), Now{}, func(*Timeline, Entry) { n++ }); err != nil || n != 6 {
			t.Errorf("%.30q: log: %d, %v", tail, n, err)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat("\x00", 5000))); err == nil {
		t.Error("zeros were read")
	}
}

// endless is a record that does not end.
type endless struct {
	line string
	read int
}

func (e *endless) Read(b []byte) (int, error) {
	n := 0
	for n+len(e.line) <= len(b) {
		n += copy(b[n:], e.line)
	}
	if n == 0 {
		n = copy(b, strings.Repeat(" ", len(b)))
	}
	e.read += n
	if e.read > 4*MaxRecord {
		return 0, io.ErrNoProgress
	}
	return n, nil
}

// TestEndless: no more of a record is read than a watch writes.
func TestEndless(t *testing.T) {
	const line = `{"schema":1,"type":"lost","events":1}` + "\n"
	if tl, err := Read(io.MultiReader(strings.NewReader(begun(t)), &endless{line: line + strings.Repeat(" ", 30_000)})); err != nil || tl.Whole || tl.Lost == 0 {
		t.Error(err)
	}
}

// TestLaneOrder holds the lanes against the plain way to choose them: each time the first that is free.
func TestLaneOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var l lanes
	var plainly []time.Duration
	for from := time.Duration(0); from < 5000; from += time.Duration(r.IntN(3)) {
		to := from + time.Duration(r.IntN(100))
		want := slices.IndexFunc(plainly, func(end time.Duration) bool { return end <= from })
		if want < 0 {
			want = len(plainly)
			plainly = append(plainly, 0)
		}
		plainly[want] = to
		if got := l.take(from, to); got != want {
			t.Fatalf("at %d: lane %d, want %d", from, got, want)
		}
	}
	if l.rows != len(plainly) {
		t.Errorf("%d lanes, want %d", l.rows, len(plainly))
	}
}

// TestManyLanes: as many tasks at one time as fit into a record. To look at all lanes for each takes a hundred times what a
// tenth of them takes.
func TestManyLanes(t *testing.T) {
	const n = 300_000
	draw := func(n int) time.Duration {
		tl := &Timeline{To: time.Duration(2 * n)}
		for i := range n {
			tl.Loads = append(tl.Loads, &Load{TID: uint32(i + 1), Begin: time.Duration(i), End: tl.To})
		}
		before := clock.CPU()
		d := newDrawing(tl)
		took := clock.CPU() - before
		if d.rows != n {
			t.Errorf("%d lanes of %d", d.rows, n)
		}
		return took
	}
	tenth := (draw(n/10) + draw(n/10) + draw(n/10)) / 3
	took := draw(n)
	t.Log(took, "of a processor; a tenth", tenth)
	if took > 40*tenth {
		t.Errorf("%d lanes take %v, a tenth of them %v", n, took, tenth)
	}
}

// TestLongLine: a line that no watch writes is refused before it is decoded, and of who somebody is no more is kept than a watch tells.
func TestLongLine(t *testing.T) {
	load := func(who string) string {
		return `{"schema":1,"type":"event","kind":"load","id":"1","boot_ns":1,"who":{` + who + "}}\n"
	}
	long := load(`"uid":1,"ancestors":[{}` + strings.Repeat(",{}", mostLine/3) + "]")
	if _, err := Read(strings.NewReader(begun(t) + long)); err == nil || !strings.Contains(err.Error(), "object 2: its line is longer") {
		t.Error(err)
	}
	many := load(`"uid":1,"ancestors":[{}` + strings.Repeat(",{}", 1000) + `],"pids_inside":[1` + strings.Repeat(",1", 1000) + "]")
	tl, err := Read(strings.NewReader(begun(t) + "\n" + many))
	if err != nil || len(tl.Loads) != 1 {
		t.Fatal(err)
	}
	if w := tl.Loads[0].Who; len(w.Ancestors) != mostAncestors || len(w.Inside) != mostInside || cap(w.Ancestors)+cap(w.Inside) > 200 {
		t.Errorf("%d ancestors and %d numbers are kept", cap(w.Ancestors), cap(w.Inside))
	}
}

// TestLargeNumbers: what has 32 bits is not taken for a negative number where an int has no more.
func TestLargeNumbers(t *testing.T) {
	n := uint32(4294967294)
	w := &Who{UID: n, Login: &n, Inside: []uint32{n}, Ancestors: []Ancestor{{n, "x"}}}
	f := Entry{Load: &Load{Ret: math.MinInt32, Who: w}}.Fields()
	if s := w.String() + w.descent() + fmt.Sprint(f); strings.Count(s, "4294967294") != 7 || strings.Contains(s, "-") {
		t.Error(s)
	}
}

// TestFitAll: nothing of a heading is lost in the picture, and no character is cut in two.
func TestFitAll(t *testing.T) {
	word := strings.Repeat("ä", 400)
	for _, line := range []string{"", "a b", word, "some words, then " + word + " and more", strings.Repeat("five ", 100)} {
		lines := fit(line)
		for _, l := range lines {
			if !utf8.ValidString(l) || utf8.RuneCountInString(l) > int(wide/em) {
				t.Errorf("%q", l)
			}
		}
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.ReplaceAll(line, " ", ""); got != want {
			t.Errorf("%q became %q", want, got)
		}
	}
}
