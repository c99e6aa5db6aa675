// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/docs/schema"
)

func TestLog(t *testing.T) {
	s := incident(t)
	s.read()
	uid, other := uint32(0), uint32(7)
	for _, c := range []struct {
		name   string
		filter Filter
		want   string
	}{
		{"all", Filter{}, "load dep, load , request crypto-<b>&\"inner, load outer, load outer, request net-pf-38"},
		{"module", Filter{Module: "dep"}, "load dep, request crypto-<b>&\"inner"},
		{"name", Filter{Module: "crypto_<b>&\"inner"}, "request crypto-<b>&\"inner"},
		{"uid", Filter{UID: &uid, Module: "outer"}, "load outer, load outer"},
		{"other", Filter{UID: &other}, ""},
		{"unit", Filter{Unit: "systemd-udevd", Module: "dep"}, "load dep, request crypto-<b>&\"inner"},
		{"no unit", Filter{Unit: "systemd-ude"}, ""},
		{"since", Filter{Since: time.Unix(1e9, 0).Add(14 * time.Millisecond)}, "load outer, request net-pf-38"},
	} {
		var got []string
		err := Log(bytes.NewReader(s.out.Bytes()), Now{}, func(tl *Timeline, e Entry) {
			if !c.filter.Wants(tl, e) {
				return
			}
			j, err := e.JSON(tl)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := schema.Check("log", bytes.NewReader(j)); err != nil {
				t.Error(err)
			}
			if e.Load != nil {
				got = append(got, "load "+e.Load.Module)
			} else {
				got = append(got, "request "+e.Request.Name)
			}
			if text := e.Text(tl); strings.ContainsAny(text, "\n\x1b") || !strings.Contains(text, "udevd[") {
				t.Errorf("%q", text)
			}
			if len(tl.Loads)+len(tl.Requests) > 0 {
				t.Error("what has ended is kept")
			}
		})
		if err != nil || strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, strings.Join(got, ", "), err, c.want)
		}
	}
	var text []string
	_ = Log(bytes.NewReader(s.out.Bytes()), Now{}, func(tl *Timeline, e Entry) { text = append(text, e.Text(tl)) })
	want := `2001-09-09T01:46:40.009Z load dep: live in 2.000 ms, by modprobe[20] (uid 0, login 1000, systemd-udevd.service; udevd[21] < init[1]); ` +
		`modprobe[10] (uid 0, login 1000, systemd-udevd.service; udevd[11] < init[1]) asked for crypto-<b>&"inner for the load of outer (task)`
	if text[0] != want {
		t.Errorf("got\n%s\nwant\n%s", text[0], want)
	}
}

// since are the modules and names that a log tells of.
func since(t *testing.T, record string, now Now, f Filter) string {
	var got []string
	err := Log(strings.NewReader(record), now, func(tl *Timeline, e Entry) {
		switch {
		case !f.Wants(tl, e):
		case e.Load != nil:
			got = append(got, e.Load.Module)
		default:
			got = append(got, e.Request.Name)
		}
	})
	if err != nil {
		t.Error(err)
	}
	return strings.Join(got, " ")
}

// TestSinceHangs: what goes on is told of, however long ago the record's last event was.
func TestSinceHangs(t *testing.T) {
	s := newScene(t)
	s.event(bpf.Event{Kind: bpf.LoadBegin, ID: 1, TID: 10, Ret: 3})
	s.event(bpf.Event{Kind: bpf.Init, ID: 1, TID: 10, Name: "hangs"})
	s.event(bpf.Event{Kind: bpf.Request, ID: 2, Peer: 1, TID: 10, How: uint32(bpf.ViaTask), Name: "asked"})
	s.event(bpf.Event{Kind: bpf.LoadBegin, ID: 3, TID: 11, Ret: 3})
	s.event(bpf.Event{Kind: bpf.Init, ID: 3, TID: 11, Name: "over"})
	s.event(bpf.Event{Kind: bpf.LoadEnd, ID: 3, TID: 11})
	if got := since(t, s.out.String(), Now{}, Filter{Since: time.Unix(1e9, 0).Add(time.Hour)}); got != "hangs asked" {
		t.Errorf("got %q", got)
	}
}

// TestSinceClock: a record that begins before the board has learnt the time. Boot is 2 h ago, the record began a second after.
func TestSinceClock(t *testing.T) {
	var b bytes.Buffer
	const boot = "01234567-89ab-cdef-0123-456789abcdef"
	r, err := NewRecorder(&b, Start{Time: time.Unix(17, 0), Boot: time.Second, BootID: boot, Release: "6.12", Machine: "armv7l", Source: "bpf"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"early", "late"} {
		at, id := time.Minute+time.Duration(i)*115*time.Minute, uint64(i+1)
		for _, e := range []bpf.Event{{Kind: bpf.LoadBegin, At: at}, {Kind: bpf.Init, At: at + 1, Name: name}, {Kind: bpf.LoadEnd, At: at + 2}} {
			e.ID, e.TID = id, uint32(id)
			if err := r.Event(&e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := schema.Check("record", bytes.NewReader(b.Bytes())); err != nil {
		t.Error(err)
	}
	now := Now{time.Unix(2e9, 0), 2 * time.Hour, boot}
	if got := since(t, b.String(), now, Filter{Since: now.Time.Add(-10 * time.Minute)}); got != "late" {
		t.Errorf("in 10 minutes: %q", got)
	}
	if got := since(t, b.String(), now, Filter{Since: now.Time.Add(-3 * time.Hour)}); got != "early late" {
		t.Errorf("in 3 hours: %q", got)
	}
	now.BootID = "another"
	if got := since(t, b.String(), now, Filter{Since: now.Time.Add(-3 * time.Hour)}); got != "" {
		t.Errorf("of another boot: %q", got)
	}
}

// TestWhoBounded: whoever makes the kernel request a lot does not have a watch ask who he is each time.
func TestWhoBounded(t *testing.T) {
	asked := 0
	r, err := NewRecorder(io.Discard, Start{Release: "6.12"}, func(*bpf.Event) *Who { asked++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	request := func(at time.Duration, n int) (more int) {
		before := asked
		for i := range n {
			if err := r.Event(&bpf.Event{Kind: bpf.Request, At: at + time.Duration(i)*time.Microsecond, ID: uint64(i), TID: 9, Name: "net-pf-38"}); err != nil {
				t.Fatal(err)
			}
		}
		return asked - before
	}
	if n := request(time.Hour, 10_000); n < 500 || n > 510 {
		t.Errorf("%d at once", n)
	}
	if n := request(time.Hour+time.Second, 10_000); n < 90 || n > 110 {
		t.Errorf("%d a second later", n)
	}
	if n := request(2*time.Hour, 400); n != 400 {
		t.Errorf("%d of 400 after an hour", n)
	}
	if r.Unasked() != uint64(20_400-asked) {
		t.Errorf("%d left out, asked %d", r.Unasked(), asked)
	}
}

// TestFull: a record has all that it was told until it says that it is full, and is read to its last line.
func TestFull(t *testing.T) {
	var b bytes.Buffer
	r, err := NewRecorder(&b, Start{Release: "6.12"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for ; !r.Full() && told < 400; told++ {
		if err := r.Event(&bpf.Event{Kind: bpf.Request, At: 1, ID: uint64(told + 1), TID: 9, Name: strings.Repeat("x", 1<<17)}); err != nil {
			t.Fatal(err)
		}
	}
	tl, err := Read(&b)
	if err != nil || !tl.Full || len(tl.Requests) != told || told > 260 {
		t.Errorf("%d told, %d read, %v", told, len(tl.Requests), err)
	}
}
