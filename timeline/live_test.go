// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"safeload/bpf"
)

// TestLive tells the same of events as Log does of the record of them.
func TestLive(t *testing.T) {
	s := incident(t)
	s.read()
	var want []string
	if err := Log(bytes.NewReader(s.out.Bytes()), Now{}, func(_ *Timeline, e Entry) {
		if e.Ended() > 0 && (e.Load == nil || e.Load.Ended) && (e.Request == nil || e.Request.Ended) {
			want = append(want, e.Message())
		}
	}); err != nil {
		t.Fatal(err)
	}
	var got []string
	var fields []map[string]string
	l := NewLive(s.who, func(e Entry) {
		got, fields = append(got, e.Message()), append(fields, e.Fields())
	})
	for i := range s.events {
		l.Event(&s.events[i])
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || len(got) != 5 {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	dep := map[string]string{"SAFELOAD_TYPE": "load", "SAFELOAD_MODULE": "dep", "SAFELOAD_RESULT": "live", "SAFELOAD_DURATION_USEC": "2000",
		"SAFELOAD_PID": "20", "SAFELOAD_COMM": "modprobe", "SAFELOAD_LOGINUID": "1000", "SAFELOAD_UID": "0", "SAFELOAD_UNIT": "systemd-udevd.service",
		"SAFELOAD_REQUEST": "crypto-<b>&\"inner", "SAFELOAD_ASKED_PID": "10", "SAFELOAD_ASKED_COMM": "modprobe", "SAFELOAD_ASKED_LOGINUID": "1000", "SAFELOAD_ASKED_UID": "0", "SAFELOAD_ASKED_UNIT": "systemd-udevd.service"}
	if len(fields) == 0 || !maps.Equal(fields[0], dep) {
		t.Errorf("fields of dep: %v", fields)
	}
}

// TestLiveBounded: loads and requests whose ends were lost are not kept for ever.
func TestLiveBounded(t *testing.T) {
	told := 0
	l := NewLive(nil, func(Entry) { told++ })
	const n = 5 * mostOpen
	for i := range uint64(n) {
		l.Event(&bpf.Event{Kind: bpf.Request, ID: 2*i + 1, At: time.Duration(i)})
		l.Event(&bpf.Event{Kind: bpf.LoadBegin, ID: 2*i + 2, At: time.Duration(i)})
		l.Event(&bpf.Event{Kind: bpf.Wait, ID: 2*i + 2, At: time.Duration(i)})
	}
	for what, open := range map[string]int{"requests": len(l.t.requests), "loads": len(l.t.loads), "waits": len(l.t.waiting)} {
		if open > mostOpen || open < mostOpen/2 {
			t.Errorf("%d %s are kept", open, what)
		}
	}
	l.Event(&bpf.Event{Kind: bpf.LoadEnd, ID: 2 * n, At: n})
	if told != 1 {
		t.Errorf("the youngest was forgotten")
	}
}
