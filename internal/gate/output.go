// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"safeload/internal/rig/report"
)

// writeJSON writes one object a line: each test whose name is known, and each step.
func writeJSON(w io.Writer, all []done) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, d := range all {
		for _, v := range d.result.Verdicts {
			if err := out.Encode(struct {
				Schema  int            `json:"schema"`
				Type    string         `json:"type"`
				Step    string         `json:"step"`
				Group   string         `json:"group"`
				Name    string         `json:"name"`
				Verdict report.Outcome `json:"verdict"`
				Text    string         `json:"text,omitempty"`
			}{1, "test", d.step.Name, group(d, v), name(v), v.Outcome, v.Text}); err != nil {
				return err
			}
		}
		if err := out.Encode(struct {
			Schema  int     `json:"schema"`
			Type    string  `json:"type"`
			Step    string  `json:"step"`
			Passed  int     `json:"passed"`
			Failed  int     `json:"failed"`
			Skipped int     `json:"skipped"`
			Seconds float64 `json:"seconds"`
			CPU     float64 `json:"cpu_seconds"`
			Text    string  `json:"text,omitempty"`
		}{1, "step", d.step.Name, d.result.Passed, d.result.Failed, d.result.Skipped, d.took.Seconds(), d.cpu.Seconds(), message(d)}); err != nil {
			return err
		}
	}
	return nil
}

// failures says in one line each what failed. It is the end of what the gate prints: of long output often only the end is
// kept. A script's own output has its failures in lines that begin with FAIL.
func failures(all []done) []string {
	const most = 60
	var lines []string
	for _, d := range all {
		for _, v := range d.result.Verdicts {
			if v.Outcome == report.Fail {
				text, _, _ := strings.Cut(strings.TrimSpace(v.Text), "\n")
				lines = append(lines, fmt.Sprintf("FAILED %s: %s %s: %s", d.step.Name, group(d, v), name(v), text))
			}
		}
		if d.err == nil {
			continue
		}
		for l := range strings.Lines(string(d.out)) {
			if len(d.result.Verdicts) == 0 && strings.HasPrefix(l, "FAIL") {
				lines = append(lines, "FAILED "+d.step.Name+": "+strings.TrimSpace(l))
			}
		}
		lines = append(lines, "FAILED "+d.step.Name+": "+d.err.Error())
	}
	if n := len(lines) - most; n > 0 {
		lines = append(lines[:most], fmt.Sprintf("... and %d more", n))
	}
	return lines
}

// group is the package of a unit test, or the kernel of a case.
func group(d done, v report.Verdict) string {
	if v.Kernel == d.step.Name {
		return v.Case
	}
	return v.Kernel
}

func name(v report.Verdict) string {
	if v.Kernel == "unit" {
		return v.Phase
	}
	return v.Case + "/" + v.Phase
}

func message(d done) string {
	if d.err == nil {
		return ""
	}
	return d.err.Error()
}

// writeJUnit writes the single tests, and the steps that have none as one test each.
func writeJUnit(w io.Writer, all []done) error {
	var verdicts []report.Verdict
	for _, d := range all {
		failed := d.result.Failed
		for _, v := range d.result.Verdicts {
			if v.Outcome == report.Fail {
				failed--
			}
			verdicts = append(verdicts, v)
		}
		// What no single test tells: the counts of a step that names none, or a failure of the step itself.
		if len(d.result.Verdicts) > 0 && failed <= 0 {
			continue
		}
		v := report.Verdict{Kernel: "gate", Case: d.step.Name, Phase: "step", Outcome: report.Pass, Seconds: fmt.Sprintf("%.2f", d.took.Seconds())}
		if d.result.Failed > 0 {
			v.Outcome, v.Text = report.Fail, fmt.Sprintf("%d passed, %d failed %s", d.result.Passed, d.result.Failed, message(d))
		}
		verdicts = append(verdicts, v)
	}
	return report.WriteJUnit(w, "test.sh", verdicts)
}
