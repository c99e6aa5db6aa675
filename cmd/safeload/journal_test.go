// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/watch"
)

func (*notes) Finding(*live.Finding) {}

func seenLoad(w *watchJournal, id uint64, module string, ret int32) {
	for _, e := range []bpf.Event{
		{Kind: bpf.LoadBegin, ID: id, At: time.Second}, {Kind: bpf.Init, ID: id, At: time.Second, Name: module},
		{Kind: bpf.LoadEnd, ID: id, At: 2 * time.Second, Ret: ret},
	} {
		w.Seen(&watch.Observation{Event: e})
	}
}

// TestJournal: each load and finding is sent; a request that brought nothing is not.
func TestJournal(t *testing.T) {
	var sent []string
	told := &notes{}
	w := newJournal(nil, told, func(m string, p int, f map[string]string) error {
		sent = append(sent, strings.Join([]string{f["SYSLOG_IDENTIFIER"], f["SAFELOAD_TYPE"], f["SAFELOAD_MODULE"], f["SAFELOAD_RESULT"], f["SAFELOAD_ERRNO"], string('0' + rune(p))}, " "))
		if strings.ContainsAny(m, "\n\x1b") {
			t.Errorf("%q", m)
		}
		return nil
	})
	w.Seen(requestOf(1, "net-pf-38"))
	w.Seen(&watch.Observation{Event: bpf.Event{Kind: bpf.RequestEnd, ID: 1}})
	seenLoad(w, 2, "a-b", 0)
	seenLoad(w, 3, "c\x1b", -19)
	w.Finding(&live.Finding{Finding: graph.Finding{Module: "a-b"}})
	w.end()
	if got := strings.Join(sent, ", "); got != "safeload load a_b live  6, safeload load c\x1b ENODEV 19 5, safeload finding a_b   4" {
		t.Errorf("%q", got)
	}
	if len(told.all) > 0 {
		t.Errorf("%q", told.all)
	}
}

// TestJournalSlow: a journal that takes nothing keeps no watch; what is dropped is counted.
func TestJournalSlow(t *testing.T) {
	gate := make(chan struct{})
	told := &notes{}
	w := newJournal(nil, told, func(string, int, map[string]string) error { <-gate; return nil })
	const n = journalQueue + 100
	for i := range uint64(n) {
		seenLoad(w, i+1, "m", 0)
	}
	close(gate)
	w.end()
	if len(told.all) == 0 || !strings.Contains(told.all[0], "does not keep up") {
		t.Errorf("%q", told.all)
	}
}

// TestJournalGone: what a journal does not take is counted, with the reason.
func TestJournalGone(t *testing.T) {
	told := &notes{}
	w := newJournal(nil, told, func(string, int, map[string]string) error { return errors.New("gone") })
	for i := range uint64(5) {
		seenLoad(w, i+1, "m", 0)
	}
	w.end()
	sum := 0
	for _, note := range told.all {
		n := 0
		if _, err := fmt.Sscanf(note, "%d entries are not in the journal", &n); err != nil || !strings.Contains(note, ": gone; the watch goes on") {
			t.Errorf("%q", note)
		}
		sum += n
	}
	if sum != 5 {
		t.Errorf("%d entries are said to be lost: %q", sum, told.all)
	}
}
