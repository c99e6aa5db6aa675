// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/docs/schema"
)

// phased is a load of a second whose task did several things; a phase is told after the end of its load.
func phased(t testing.TB, kinds []string) *Timeline {
	var out bytes.Buffer
	r, err := NewRecorder(&out, Start{Time: time.Unix(1e9, 0), Boot: time.Second, Release: "6.12", Machine: "armv7l", Source: "bpf", Phases: kinds}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	phase := func(tid uint32, what string, from, to int) {
		t.Helper()
		if err := r.Phase(&bpf.Phase{TID: tid, What: what, From: ms(from), To: ms(to)}); err != nil {
			t.Fatal(err)
		}
	}
	event := func(e bpf.Event, at int) {
		t.Helper()
		e.At, e.TID, e.TGID, e.Comm = ms(at), 7, 7, "modprobe"
		if err := r.Event(&e); err != nil {
			t.Fatal(err)
		}
	}
	event(bpf.Event{Kind: bpf.LoadBegin, ID: 1, Ret: 3}, 1000)
	phase(7, bpf.PhaseDisk, 1010, 1100)
	phase(7, bpf.PhaseAsleep, 1020, 1090) // in it
	phase(7, bpf.PhaseDecompress, 1110, 1150)
	phase(7, bpf.PhaseSymbol, 1200, 1250)
	event(bpf.Event{Kind: bpf.Init, ID: 1, Name: "m"}, 1300)
	event(bpf.Event{Kind: bpf.Request, ID: 2, Peer: 1, How: uint32(bpf.ViaTask), Name: "x"}, 1310)
	event(bpf.Event{Kind: bpf.RequestEnd, ID: 2}, 1400)
	phase(7, bpf.PhaseAsleep, 1311, 1402) // in that wait, until it runs again
	phase(7, bpf.PhaseLock, 1500, 1540)
	phase(7, bpf.PhaseAsleep, 1600, 1900)
	phase(8, bpf.PhaseAsleep, 1600, 1900) // loads nothing
	event(bpf.Event{Kind: bpf.LoadEnd, ID: 1}, 2000)
	phase(7, bpf.PhaseAsync, 1950, 1990)
	event(bpf.Event{Kind: bpf.LoadBegin, ID: 3, Ret: 3}, 2100)
	event(bpf.Event{Kind: bpf.LoadEnd, ID: 3}, 2200)
	phase(7, bpf.PhaseAsleep, 2000, 2050) // between the two
	if err := r.End(ms(2300)); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Check("record", bytes.NewReader(out.Bytes())); err != nil {
		t.Error(err)
	}
	tl, err := Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

func TestPhases(t *testing.T) {
	tl := phased(t, bpf.PhaseKinds)
	var got []string
	for _, w := range tl.Loads[0].Waits {
		got = append(got, fmt.Sprint(w.How, " ", w.From.Milliseconds(), "-", w.To.Milliseconds()))
	}
	want := "disk 1010-1100, decompression 1110-1150, symbol 1200-1250, request 1310-1400, lock 1500-1540, asleep 1600-1900, async 1950-1990"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
	// Its file, decompression and sleep are its own.
	if own := tl.Loads[0].Own(); own != 780*time.Millisecond || len(tl.Loads[1].Waits) != 0 {
		t.Errorf("own %v, second %v", own, tl.Loads[1].Waits)
	}
	text, lines, html := writeAll(t, tl)
	for _, w := range []string{"reads a file for 90.000 ms", "waits for a symbol of a module that is loading for 50.000 ms", "waits 90.000 ms for its request x", "modprobe[7], for m: it waits for a lock"} {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
	if strings.Contains(text, "not told apart") {
		t.Error("all is told apart, and it says otherwise")
	}
	if _, err := schema.Check("timeline", strings.NewReader(lines)); err != nil {
		t.Error(err)
	}
	for _, class := range []string{"disk", "unpack", "symbol", "request", "lock", "async", "asleep"} {
		if n := strings.Count(html, `<path class="`+class+`"`); n != 2 { // in the legend, and drawn
			t.Errorf("%d paths of class %s", n, class)
		}
	}
	if !strings.Contains(html, "disk 90.000 ms, decompression 40.000 ms") {
		t.Error("the parts of a load are not told")
	}
}

// TestPhasesUntold: what a kernel does not show is said not to be told, and is not in the legend.
func TestPhasesUntold(t *testing.T) {
	tl := phased(t, bpf.PhaseKinds[2:])
	text, lines, html := writeAll(t, tl)
	if want := "not told apart in this record: disk, decompression\n"; !strings.Contains(text, want) || !strings.Contains(html, strings.TrimSpace(want)) {
		t.Errorf("no %q in\n%s", want, text)
	}
	if strings.Contains(html, "is decompressed</span>") {
		t.Error("the legend has what is not told")
	}
	if !strings.Contains(lines, `"phases":["symbol","lock","async","asleep"]`) {
		t.Error("JSON does not say what is told")
	}
}

// TestSVG: the picture alone is well-formed, and has what the page has.
func TestSVG(t *testing.T) {
	for _, tl := range []*Timeline{phased(t, bpf.PhaseKinds), incident(t).read(), boot(t).read()} {
		var b bytes.Buffer
		if err := WriteSVG(&b, tl); err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
		texts := 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := token.(xml.StartElement); ok {
				if e.Name.Local == "script" {
					t.Error("a script")
				}
				if e.Name.Local == "text" {
					texts++
				}
			}
		}
		if texts < 10 || b.Len() > 2<<20 {
			t.Errorf("%d texts, %d bytes", texts, b.Len())
		}
	}
}

// TestFit: a line is broken to what the picture has room for.
func TestFit(t *testing.T) {
	for _, in := range []string{"short", strings.Repeat("word ", 100), strings.Repeat("x", 500) + " y", ""} {
		for _, l := range fit(in) {
			if float64(len(l))*em > wide {
				t.Errorf("%q is too long", l)
			}
		}
	}
	if got := fit(strings.Repeat("word ", 100)); len(got) != 4 {
		t.Errorf("%d lines", len(got))
	}
}
