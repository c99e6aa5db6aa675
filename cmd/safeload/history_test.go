// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"safeload/bpf"
	"safeload/docs/schema"
)

// TestNotices: what is read and what is missing is said, in JSON by the schema.
func TestNotices(t *testing.T) {
	var out, errs bytes.Buffer
	for _, asJSON := range []bool{true, false} {
		say := noticesTo("log", &out, &errs, asJSON)
		to := &teller{notice: say}
		to.lost(&bpf.Taken{})
		to.lost(&bpf.Taken{LostLoads: 3})
		to.lost(&bpf.Taken{LostNothings: 4})
		say(&notice{Schema: 1, Type: "source", Source: "record", File: "/run/\x1b", Time: "2026-01-02T03:04:05Z", Boot: 1})
		say(&notice{Schema: 1, Type: "source", Source: "probe", Time: "2026-01-02T03:04:05Z", Boot: 1})
	}
	if types, err := schema.Check("log", &out); err != nil || strings.Join(types, " ") != "lost lost source source" {
		t.Errorf("%q, %v", types, err)
	}
	want := "safeload: log: newer ones took the place of 3 loads, and of 0 that came to nothing: these are missing\n" +
		"safeload: log: newer ones took the place of 0 loads, and of 4 that came to nothing: these are missing\n" +
		`safeload: log: from the record /run/\x1b, which begins at 2026-01-02T03:04:05Z` + "\n" +
		"safeload: log: from the ring of the probe that is in the kernel since 2026-01-02T03:04:05Z\n"
	if errs.String() != want {
		t.Errorf("got\n%s\nwant\n%s", errs.String(), want)
	}
}

// TestNamedRecord: a record that is named is read alone, or the error says why not.
func TestNamedRecord(t *testing.T) {
	if h, err := openHistory("/nonesuch/record"); err == nil || h.ring != nil || !strings.Contains(err.Error(), "/nonesuch/record") {
		t.Errorf("%+v, %v", h, err)
	}
}
