// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"safeload/internal/rig/report"
)

// event is a line of `go test -json` (go doc test2json) or of `go build -json`.
type event struct {
	Action      string
	Package     string
	Test        string
	Elapsed     float64
	Output      string
	ImportPath  string
	FailedBuild string
}

// tested is what came of the tests of some packages.
type tested struct {
	verdicts []report.Verdict
	// noise is what is no event: messages of the go command.
	noise []string
}

type testName struct{ pkg, test string }

// testReader gathers what the events say of each test.
type testReader struct {
	tested
	output map[testName]*strings.Builder
	open   []testName // tests that have begun and not ended
	failed map[string]int
	builds map[string]*strings.Builder
}

// readGoTest reads the events of a `go test -json`. Every test that was begun is counted: one that never ended has failed,
// and so has a package that fails though none of its tests does (it does not build, or its TestMain ends it).
func readGoTest(r io.Reader) (tested, error) {
	t := testReader{output: map[testName]*strings.Builder{}, failed: map[string]int{}, builds: map[string]*strings.Builder{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line = strings.TrimRight(line, "\n"); line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil || e.Action == "" {
				t.noise = append(t.noise, line)
			} else {
				t.event(e)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return t.tested, err
		}
	}
	for _, n := range t.open {
		t.add(n, report.Fail, 0, "it never ended\n"+t.text(n))
	}
	return t.tested, nil
}

func (t *testReader) event(e event) {
	n := testName{e.Package, e.Test}
	switch e.Action {
	case "run":
		t.open = append(t.open, n)
	case "output":
		write(t.output, n, e.Output)
	case "build-output":
		write(t.builds, e.ImportPath, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.packageEnds(e)
			return
		}
		outcome, text := report.Pass, ""
		switch e.Action {
		case "fail":
			outcome, text = report.Fail, t.text(n)
			t.failed[e.Package]++
		case "skip":
			outcome, text = report.Skip, t.reason(n)
		}
		t.ends(n)
		t.add(n, outcome, e.Elapsed, text)
	}
}

// packageEnds handles the last event of a package. One without tests is "skip": nothing was left out.
func (t *testReader) packageEnds(e event) {
	if e.Action != "fail" {
		return
	}
	var unended []testName
	for _, n := range t.open {
		if n.pkg != e.Package {
			unended = append(unended, n)
			continue
		}
		t.add(n, report.Fail, 0, "it never ended\n"+t.text(n))
		t.failed[e.Package]++
	}
	t.open = unended
	if t.failed[e.Package] > 0 {
		return
	}
	text := t.text(testName{e.Package, ""})
	if b := t.builds[e.FailedBuild]; b != nil {
		text = b.String() + text
	}
	t.add(testName{e.Package, ""}, report.Fail, e.Elapsed, text)
}

func (t *testReader) ends(n testName) {
	for i, o := range t.open {
		if o == n {
			t.open = append(t.open[:i], t.open[i+1:]...)
			return
		}
	}
}

func (t *testReader) add(n testName, outcome report.Outcome, seconds float64, text string) {
	t.verdicts = append(t.verdicts, report.Verdict{Kernel: "unit", Case: n.pkg, Phase: n.test, Outcome: outcome,
		Seconds: fmt.Sprintf("%.2f", seconds), Text: strings.TrimSpace(text)})
}

func (t *testReader) text(n testName) string {
	if b := t.output[n]; b != nil {
		return b.String()
	}
	return ""
}

// reason is why a test was skipped: what it printed, without the frame that testing prints around it.
func (t *testReader) reason(n testName) string {
	var said []string
	for line := range strings.Lines(t.text(n)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "it does not say why"
	}
	return strings.Join(said, " ")
}

func write[K comparable](m map[K]*strings.Builder, key K, text string) {
	b := m[key]
	if b == nil {
		b = new(strings.Builder)
		m[key] = b
	}
	b.WriteString(text)
}
