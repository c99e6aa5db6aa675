// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/docs/schema"
	"safeload/guard/graph"
)

// scene writes records.
type scene struct {
	t   testing.TB
	out bytes.Buffer
	rec *Recorder
	at  time.Duration

	events []bpf.Event
}

func (s *scene) who(e *bpf.Event) *Who {
	login := uint32(1000)
	return &Who{UID: 0, Login: &login, Unit: "systemd-udevd.service", Ancestors: []Ancestor{{e.TGID + 1, "udevd"}, {1, "init"}}}
}

func newScene(t testing.TB) *scene {
	s := &scene{t: t, at: time.Second}
	var err error
	s.rec, err = NewRecorder(&s.out, Start{Time: time.Unix(1e9, 0), Boot: s.at, Release: "6.12", Machine: "armv7l", Source: "bpf", Missing: []string{"x"}}, s.who)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// event happens a millisecond after the one before.
func (s *scene) event(e bpf.Event) {
	s.at += time.Millisecond
	e.At = s.at
	if e.TGID == 0 {
		e.TGID = e.TID
	}
	if e.Comm == "" {
		e.Comm = "modprobe"
	}
	s.events = append(s.events, e)
	if err := s.rec.Event(&e); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) read() *Timeline {
	if err := s.rec.End(s.at); err != nil {
		s.t.Fatal(err)
	}
	t, err := Read(bytes.NewReader(s.out.Bytes()))
	if err != nil {
		s.t.Fatal(err)
	}
	return t
}

// incident: outer asks for inner's name in its init; inner is loaded by the helper 20, after dep. Another load of outer waits.
func incident(t testing.TB) *scene {
	s := newScene(t)
	s.event(bpf.Event{Kind: bpf.LoadBegin, ID: 1, TID: 10, Ret: 3})
	s.event(bpf.Event{Kind: bpf.Init, ID: 1, TID: 10, Name: "outer"})
	s.event(bpf.Event{Kind: bpf.LoadBegin, ID: 9, TID: 11, Ret: 3, Comm: "</div><script>"})
	s.event(bpf.Event{Kind: bpf.Wait, ID: 9, Peer: 1, TID: 11, How: uint32(bpf.WaitFile), Ret: bpf.Unsent})
	s.event(bpf.Event{Kind: bpf.Request, ID: 2, Peer: 1, TID: 10, How: uint32(bpf.ViaTask), Name: "crypto-<b>&\"inner"})
	s.event(bpf.Event{Kind: bpf.Child, ID: 2, Peer: 1, TID: 20})
	s.event(bpf.Event{Kind: bpf.LoadBegin, ID: 3, Ctx: 2, TID: 20, Ret: 3})
	s.event(bpf.Event{Kind: bpf.Init, ID: 3, TID: 20, Name: "dep"})
	s.event(bpf.Event{Kind: bpf.LoadEnd, ID: 3, TID: 20})
	s.event(bpf.Event{Kind: bpf.LoadBegin, ID: 4, Ctx: 2, TID: 20, Ret: 3})
	s.event(bpf.Event{Kind: bpf.LoadEnd, ID: 4, TID: 20, Ret: -17})
	s.event(bpf.Event{Kind: bpf.RequestEnd, ID: 2, Peer: 1, TID: 10})
	s.event(bpf.Event{Kind: bpf.LoadEnd, ID: 1, TID: 10})
	s.event(bpf.Event{Kind: bpf.LoadEnd, ID: 9, TID: 11, Ret: -17})
	s.event(bpf.Event{Kind: bpf.Request, ID: 5, TID: 30, Name: "net-pf-38", Comm: "algo"})
	if err := s.rec.Finding(&live.Finding{Load: 9, Finding: graph.Finding{Certainty: graph.Likely, Module: "outer"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.rec.Lost(3); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestIncident(t *testing.T) {
	s := incident(t)
	tl := s.read()
	if _, err := schema.Check("record", bytes.NewReader(s.out.Bytes())); err != nil {
		t.Error(err)
	}
	if len(tl.Loads) != 4 || len(tl.Requests) != 2 || tl.Lost != 3 || !tl.Whole {
		t.Fatalf("%d loads, %d requests, %+v", len(tl.Loads), len(tl.Requests), tl)
	}
	outer, other, dep, failed := tl.Loads[0], tl.Loads[1], tl.Loads[2], tl.Loads[3]
	if outer.Took() != 12*time.Millisecond || outer.Waited() != 7*time.Millisecond || len(outer.Waits) != 1 || outer.Waits[0].Request != tl.Requests[0] {
		t.Errorf("outer: %+v", outer)
	}
	if other.Waits[0].For != outer || other.Waits[0].To != outer.End || other.Module != "outer" || other.Found != graph.Likely {
		t.Errorf("other: %+v", other)
	}
	if dep.Asked != tl.Requests[0] || failed.result() != "EEXIST" || failed.Module != "" || dep.Who.Unit != "systemd-udevd.service" {
		t.Errorf("dep: %+v, failed %+v", dep, failed)
	}
	if tl.Requests[1].Ended || tl.Requests[1].outcome() != "not over" {
		t.Errorf("last request %+v", tl.Requests[1])
	}
	var path []string
	steps := tl.Critical()
	for i, st := range steps {
		if i > 0 && st.From != steps[i-1].To {
			t.Errorf("a gap before step %d", i)
		}
		name := ""
		if st.Load != nil {
			name = st.Load.Module
		}
		path = append(path, strings.TrimSpace(st.What+" "+name))
	}
	if got := strings.Join(path, ", "); got != "load outer, init outer, helper, load dep, init dep, helper, load, helper, init outer" {
		t.Errorf("critical path: %s", got)
	}
	if steps[0].From != outer.Begin || steps[len(steps)-1].To != outer.End {
		t.Errorf("from %v to %v", steps[0].From, steps[len(steps)-1].To)
	}
}

func TestForms(t *testing.T) {
	tl := incident(t).read()
	var text, lines, html bytes.Buffer
	for _, f := range []func() error{func() error { return WriteText(&text, tl) }, func() error { return WriteJSON(&lines, tl) }, func() error { return WriteHTML(&html, tl) }} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"4 loads (2 failed, 1 found to wait for themselves) and 2 requests", "for its request crypto-<b>&\"inner", "waits for itself (likely)", "3 events lost",
		"uid 0, login 1000, systemd-udevd.service", "for the load of outer by modprobe[10] (same file)", "not seen on this kernel: x"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if types, err := schema.Check("timeline", bytes.NewReader(lines.Bytes())); err != nil || types[len(types)-1] != "summary" {
		t.Errorf("%v %v", types, err)
	}
	if n := strings.Count(html.String(), "<script>"); n != 1 || strings.Contains(html.String(), "<b>") {
		t.Errorf("%d scripts, or a name is markup", n)
	}
	if regexp.MustCompile(`(?i)\b(src|href)=`).MatchString(strings.Split(html.String(), "<script>")[0]) {
		t.Error("something is fetched")
	}
}

// TestBroken: what is no record is an error; what is cut short is read as far as it goes.
func TestBroken(t *testing.T) {
	whole := func() string { s := incident(t); s.read(); return s.out.String() }()
	if tl, err := Read(strings.NewReader(whole[:len(whole)*2/3])); err != nil || tl.Whole || len(tl.Loads) == 0 {
		t.Errorf("cut short: %v", err)
	}
	for _, bad := range []string{"", "{", "[]", `{"schema":1,"type":"start"}`, `{"schema":2,"type":"start","release":"6"}`, strings.Replace(whole, `"event"`, `7`, 1), whole[strings.Index(whole, "\n")+1:]} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%.60q was read", bad)
		}
	}
	for _, odd := range []string{`"kind":"load-end","id":"77"`, `"kind":"wait","id":"1","peer":"1"`, `"kind":"request","id":"2","peer":"1","ctx":"2"`, `"kind":"child","id":"5"`, `"kind":"init","id":"1"`, `"kind":"none"`} {
		text := strings.Split(whole, "\n")[0] + "\n"
		for range 3 {
			text += `{"schema":1,"type":"event","boot_ns":5,` + odd + "}\n"
		}
		tl, err := Read(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", odd, err)
			continue
		}
		for _, write := range []func(io.Writer, *Timeline) error{WriteText, WriteJSON, WriteHTML} {
			if err := write(io.Discard, tl); err != nil {
				t.Error(err)
			}
		}
	}
}

// boot is 4,000 loads, each with three phases, and 10,000 requests.
func boot(t testing.TB) *scene {
	s := newScene(t)
	id := uint64(0)
	var loads []uint64
	for n := 0; n < 4000; n++ {
		id++
		load, tid := id<<22, uint32(100+n%300)
		loads = append(loads, load)
		s.event(bpf.Event{Kind: bpf.LoadBegin, ID: load, TID: tid, Ret: 3, Comm: "(udev-worker)"})
		s.event(bpf.Event{Kind: bpf.Init, ID: load, TID: tid, Name: fmt.Sprintf("a_module_name_%d", n)})
		for i, what := range []string{bpf.PhaseDisk, bpf.PhaseDecompress, bpf.PhaseAsleep} { // of different lengths, as real ones are
			from := s.at + time.Duration(i)*time.Microsecond/4
			if err := s.rec.Phase(&bpf.Phase{TID: tid, What: what, From: from, To: from + time.Duration(100+n%97)*time.Nanosecond}); err != nil {
				t.Fatal(err)
			}
		}
		for q := range 2 + n%2 {
			id++
			s.event(bpf.Event{Kind: bpf.Request, ID: id << 22, Peer: load, TID: tid, How: uint32(bpf.ViaTask), Name: fmt.Sprintf("crypto-name(%d)-%d", n, q)})
			s.event(bpf.Event{Kind: bpf.Child, ID: id << 22, TID: 40000 + uint32(id)})
			s.event(bpf.Event{Kind: bpf.RequestEnd, ID: id << 22, TID: tid})
		}
		if n > 40 {
			s.event(bpf.Event{Kind: bpf.LoadEnd, ID: loads[n-40], TID: uint32(100 + (n-40)%300)})
		}
	}
	return s
}

// TestBoot: a large boot makes a file that a browser takes.
func TestBoot(t *testing.T) {
	tl := boot(t).read()
	if len(tl.Loads) != 4000 || len(tl.Requests) != 10000 {
		t.Fatalf("%d loads, %d requests", len(tl.Loads), len(tl.Requests))
	}
	var b bytes.Buffer
	begun := time.Now()
	if err := WriteHTML(&b, tl); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes in %v", b.Len(), time.Since(begun))
	if b.Len() > 2<<20 {
		t.Errorf("%d bytes", b.Len())
	}
}

// BenchmarkBoot reads and draws it: at most 2 s are promised.
func BenchmarkBoot(b *testing.B) {
	s := boot(b)
	s.read()
	for b.Loop() {
		tl, err := Read(bytes.NewReader(s.out.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		if err := WriteHTML(io.Discard, tl); err != nil {
			b.Fatal(err)
		}
	}
}

// TestGeometry: what is drawn is inside of the picture, and no two tasks share a place in a lane.
func TestGeometry(t *testing.T) {
	for _, tl := range []*Timeline{incident(t).read(), boot(t).read()} {
		d := newDrawing(tl)
		seen := make(map[int][]*Load)
		for _, o := range tl.Loads {
			if x, y := d.x(o.End), d.y(o.TID); d.x(o.Begin) < 0 || x > wide+1e-6 || y < 0 || y > float64(d.rows)*row {
				t.Fatalf("%+v at %v, %v", o, x, y)
			}
			lane := d.lanes[o.TID]
			for _, other := range seen[lane] {
				if other.TID != o.TID && other.Begin < o.End && o.Begin < other.End {
					t.Fatalf("%d and %d in one place", other.TID, o.TID)
				}
			}
			seen[lane] = append(seen[lane], o)
		}
	}
}

func TestPlace(t *testing.T) {
	for in, want := range map[string]string{
		"0::/system.slice/ssh.service\n":                                    "ssh.service|",
		"0::/init.scope":                                                    "init.scope|",
		"12:pids:/docker/0123456789abcdef\n0::/\n":                          "|docker-0123456789ab",
		"0::/system.slice/docker-0123456789abcdef0123.scope":                "docker-0123456789abcdef0123.scope|docker-0123456789ab",
		"0::/user.slice/user-0.slice/session-3.scope":                       "session-3.scope|",
		"0::/machine.slice/libpod-0123456789abcdef.scope/container/x":       "libpod-0123456789abcdef.scope|libpod-0123456789ab",
		"0::/machine.slice/systemd-nspawn@deb.service/payload/system.slice": "systemd-nspawn@deb.service|deb",
		"0::/lxc.payload.box/system.slice/x.service":                        "x.service|lxc-box",
		"": "|", "nonsense": "|",
	} {
		if u, c := placeOf(in); u+"|"+c != want {
			t.Errorf("%q: %q, want %q", in, u+"|"+c, want)
		}
	}
}
