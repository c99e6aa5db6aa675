// SPDX-License-Identifier: Apache-2.0

// Package report holds verdicts of tests and writes them for machines: JSON lines and JUnit XML.
package report

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
)

// An Outcome says what came of a test.
type Outcome string

// The outcomes. A skipped test has not passed.
const (
	Pass Outcome = "pass"
	Fail Outcome = "fail"
	Skip Outcome = "skip"
)

// A Verdict is what came of one phase of one case on one kernel.
type Verdict struct {
	Kernel  string
	Version string // the kernel's release, if it is known
	Case    string
	Phase   string
	Outcome Outcome
	Seconds string // a decimal number, as the guest wrote it
	Text    string
	First   string // what the first try failed by, where this is of the second
	Log     string // the console that it was read from, if there is one
}

// Count says how many passed, failed and were skipped.
func Count(verdicts []Verdict) (pass, fail, skip int) {
	for _, v := range verdicts {
		switch v.Outcome {
		case Pass:
			pass++
		case Skip:
			skip++
		default:
			fail++
		}
	}
	return pass, fail, skip
}

// number is the verdict's time; what is no number counts as none.
func (v Verdict) number() float64 {
	n, err := strconv.ParseFloat(v.Seconds, 64)
	if err != nil {
		return 0
	}
	return n
}

// WriteJSON writes one object a line.
func WriteJSON(w io.Writer, verdicts []Verdict) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, v := range verdicts {
		if err := out.Encode(struct {
			Schema  int     `json:"schema"`
			Kernel  string  `json:"kernel"`
			Version string  `json:"version"`
			Case    string  `json:"case"`
			Phase   string  `json:"phase"`
			Verdict Outcome `json:"verdict"`
			Seconds float64 `json:"seconds"`
			Text    string  `json:"text"`
			First   string  `json:"first_try,omitempty"`
		}{1, v.Kernel, v.Version, v.Case, v.Phase, v.Outcome, v.number(), v.Text, v.First}); err != nil {
			return err
		}
	}
	return nil
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Flaky   *junitMessage `xml:"flakyFailure,omitempty"` // as surefire has it: the first try failed, and the second did not
}

type junitMessage struct {
	Message string `xml:"message,attr"`
}

// WriteJUnit writes a suite in JUnit's XML: the kernel is the class, case and phase are the name.
func WriteJUnit(w io.Writer, name string, verdicts []Verdict) error {
	pass, fail, skip := Count(verdicts)
	suite := junitSuite{Name: name, Tests: pass + fail + skip, Failures: fail, Skipped: skip}
	for _, v := range verdicts {
		c := junitCase{Class: v.Kernel, Name: v.Case + "/" + v.Phase, Time: fmt.Sprintf("%.2f", v.number())}
		switch v.Outcome {
		case Pass:
			if v.First != "" {
				c.Flaky = &junitMessage{v.First}
			}
		case Skip:
			c.Skipped = &junitMessage{v.Text}
		default:
			c.Failure = &junitMessage{v.Text}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
