// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
)

var verdicts = []Verdict{
	{Kernel: "arm-6.12", Version: "6.12.95", Case: "self", Phase: "check", Outcome: Pass, Seconds: "1.20", Text: "4 checks"},
	{Kernel: "arm-6.12", Case: "self", Phase: "control", Outcome: Fail, Seconds: "", Text: `a "quoted" <text> & \ more`},
	{Kernel: "arm-6.12", Case: "rings", Phase: "check", Outcome: Pass, Seconds: "9", Text: "8 checks", First: "d9 is not live"},
	{Kernel: "*", Case: "x", Phase: "check", Outcome: Skip, Seconds: "0", Text: "known red"},
}

func TestCount(t *testing.T) {
	if pass, fail, skip := Count(verdicts); pass != 2 || fail != 1 || skip != 1 {
		t.Errorf("%d passed, %d failed, %d skipped", pass, fail, skip)
	}
}

func TestWriteJSON(t *testing.T) {
	var out strings.Builder
	if err := WriteJSON(&out, verdicts); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines", len(lines))
	}
	var second struct {
		Schema  int
		Verdict string
		Text    string
		Seconds float64
	}
	if err := json.Unmarshal([]byte(lines[1]), &second); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(lines[2], `"first_try":"d9 is not live"`) || strings.Contains(lines[0], "first_try") {
		t.Errorf("a second try: %s", lines[2])
	}
	if second.Schema != 1 || second.Verdict != "fail" || second.Text != verdicts[1].Text || second.Seconds != 0 {
		t.Errorf("%+v", second)
	}
}

func TestWriteJUnit(t *testing.T) {
	var out strings.Builder
	if err := WriteJUnit(&out, "vm", verdicts); err != nil {
		t.Fatal(err)
	}
	var suite junitSuite
	if err := xml.Unmarshal([]byte(out.String()), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 4 || suite.Failures != 1 || suite.Skipped != 1 || len(suite.Cases) != 4 {
		t.Errorf("%+v", suite)
	}
	if c := suite.Cases[2]; c.Failure != nil || c.Flaky == nil || c.Flaky.Message != "d9 is not live" || suite.Cases[0].Flaky != nil {
		t.Errorf("a second try: %+v", c)
	}
	if c := suite.Cases[1]; c.Failure == nil || c.Failure.Message != verdicts[1].Text || c.Class != "arm-6.12" || c.Name != "self/control" {
		t.Errorf("%+v", c)
	}
}
