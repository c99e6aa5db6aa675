// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"slices"
	"testing"

	"safeload/internal/rig/report"
)

func TestReadVM(t *testing.T) {
	want := []report.Verdict{
		{Kernel: "arm-6.12", Version: "6.12.95", Case: "self", Phase: "check", Outcome: report.Pass, Seconds: "1.20", Text: "4 checks"},
		{Kernel: "arm-6.12", Case: "rings", Phase: "check", Outcome: report.Pass, Seconds: "9.00", Text: "8 checks", First: "d9 is not live"},
		{Kernel: "*", Case: "x", Phase: "check", Outcome: report.Skip, Seconds: "0.00", Text: "known red"},
	}
	var b bytes.Buffer
	if err := report.WriteJSON(&b, want); err != nil {
		t.Fatal(err)
	}
	got, err := readVM(b.Bytes())
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}
