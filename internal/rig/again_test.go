// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safeload/internal/rig/report"
)

func TestMarkSecond(t *testing.T) {
	verdict := func(kernel, phase string, o report.Outcome, text string) report.Verdict {
		return report.Verdict{Kernel: kernel, Case: "rings", Phase: phase, Outcome: o, Text: text}
	}
	r := &run{first: []report.Verdict{
		verdict("arm-6.12", "check", report.Fail, "d9 is not live"),
		verdict("arm-6.12", "compare", report.Fail, "words: kmod: a safeload: b"),
		verdict("arm-6.12", "boot-safe", report.Fail, "the guest did not end"),
	}}
	verdicts := []report.Verdict{
		verdict("arm-6.12", "check", report.Pass, "8 checks"),
		verdict("arm-6.12", "control", report.Pass, "kmod hung"),
		verdict("arm-6.1", "check", report.Pass, "8 checks"),
		verdict("arm-6.12", "compare", report.Pass, "words: as kmod: a"),
		verdict("arm-6.12", "compare", report.Pass, "code: as kmod: 0"),
	}
	verdicts = r.markSecond(verdicts)
	want := []string{"d9 is not live", "", "", "words: kmod: a safeload: b", "", "the guest did not end"}
	if len(verdicts) != len(want) {
		t.Fatalf("%+v", verdicts)
	}
	for i, v := range verdicts {
		if v.First != want[i] {
			t.Errorf("%+v: first %q, want %q", v, v.First, want[i])
		}
	}
}

func TestPairs(t *testing.T) {
	on := func(kernel, group string, m Mode) *Guest {
		return &Guest{Kernel: Kernel{Key: kernel}, Group: group, Mode: m}
	}
	stock, safe := on("arm-6.12", "main", Stock), on("arm-6.12", "main", Safe)
	guests := []*Guest{safe, on("arm-6.1", "main", Safe), stock, on("arm-6.12", "probe", Stock), on("arm-6.12", "main-smp2", Safe)}
	if got := pairs(guests); len(got) != 1 || got[0] != (pair{stock, safe}) {
		t.Errorf("%+v", got)
	}
}

func TestKeepFirst(t *testing.T) {
	r := &run{cache: t.TempDir()}
	g := &Guest{Kernel: Kernel{Key: "arm-6.1"}, Group: "incident", Mode: Safe, dir: t.TempDir()}
	if got := r.keepFirst(g); !strings.Contains(got, "could not be kept") {
		t.Errorf("without a log: %s", got)
	}
	if err := os.WriteFile(g.log(), []byte("#R# a"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(r.cache, "log/failed/arm-6.1-incident-safe-first.log")
	if got := r.keepFirst(g); got != want {
		t.Errorf("kept as %s, want %s", got, want)
	}
	if text, err := os.ReadFile(want); err != nil || string(text) != "#R# a" {
		t.Errorf("%q, %v", text, err)
	}
	r.Keep = filepath.Join(t.TempDir(), "new")
	if got := r.keepFirst(g); got != filepath.Join(r.Keep, "arm-6.1-incident-safe-first.log") {
		t.Errorf("with --keep: %s", got)
	}
}
