// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"strings"
	"testing"
)

func TestMissed(t *testing.T) {
	const other = "an alias of 8 modules"
	ours := func(work string, faults int64) measurement {
		return measurement{Work: work, Program: "safeload-modprobe", Faults: faults, Ratio: 1}
	}
	to := func(program string, ratio float64) measurement { return measurement{Program: program, Ratio: ratio} }
	for _, c := range []struct {
		what string
		list []measurement
		want string // what is missed, "" if nothing
	}{
		{"all at the bounds", []measurement{ours(absentName, 12), to("kmod 30", 0.25), to("kmod 34.2", 0.4), to("master", 0.4)}, ""},
		{"too many faults", []measurement{ours(absentName, 13), to("kmod 30", 0.1)}, "13 page faults"},
		{"faults of another question", []measurement{ours(other, 150), to("kmod 30", 0.6)}, ""},
		{"over kmod 30's", []measurement{ours(absentName, 12), to("kmod 30", 0.26)}, "of kmod 30"},
		{"over kmod 29's", []measurement{ours(absentName, 12), to("kmod 29", 0.3)}, "of kmod 29"},
		{"over kmod 34's", []measurement{ours(absentName, 12), to("kmod 30", 0.2), to("kmod 34.2", 0.41)}, "of kmod 34.2"},
		{"over master's", []measurement{ours(absentName, 12), to("master", 0.41)}, "of master"},
		{"an empty program has no bound", []measurement{ours(absentName, 12), to(peerEmpty, 5)}, ""},
		{"no ratio at all", []measurement{ours(absentName, 12), to("kmod 30", math.NaN())}, "of kmod 30"},
		{"another question, at its bounds", []measurement{ours(other, 150), to("kmod 34.2", 0.8), to("master", 1.3)}, ""},
		{"another question, over kmod's", []measurement{ours(other, 150), to("kmod 34.2", 0.81)}, "of kmod 34.2"},
		{"another question, over master's", []measurement{ours(other, 150), to("master", 1.31)}, "of master"},
		{"slower than without the early answer", []measurement{ours(other, 150), to(peerLate, 1.11)}, peerLate},
		{"the early answer, without it", []measurement{ours(absentName, 12), to(peerLate, 0.2)}, ""},
	} {
		got := strings.Join(missed(c.list), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: missed %q, want %q", c.what, got, c.want)
		}
	}
}

func TestCheckable(t *testing.T) {
	absent := []measurement{{Work: absentName}, {Program: "kmod 30"}}
	if err := checkable([][]measurement{{{Work: "x"}}, absent}); err != nil {
		t.Error(err)
	}
	for _, all := range [][][]measurement{nil, {{{Work: "x"}, {Program: "kmod 30"}}}, {{{Work: absentName}, {Program: "master"}}}} {
		if checkable(all) == nil {
			t.Errorf("%v can be checked", all)
		}
	}
}
