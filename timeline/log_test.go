// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"strings"
	"testing"
	"time"

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
		err := Log(bytes.NewReader(s.out.Bytes()), func(tl *Timeline, e Entry) {
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
	_ = Log(bytes.NewReader(s.out.Bytes()), func(tl *Timeline, e Entry) { text = append(text, e.Text(tl)) })
	want := `2001-09-09T01:46:40.009Z load dep: live in 2.000 ms, by modprobe[20] (uid 0, login 1000, systemd-udevd.service; udevd[21] < init[1]); ` +
		`modprobe[10] (uid 0, login 1000, systemd-udevd.service; udevd[11] < init[1]) asked for crypto-<b>&"inner`
	if text[0] != want {
		t.Errorf("got\n%s\nwant\n%s", text[0], want)
	}
}
