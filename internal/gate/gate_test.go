// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"safeload/internal/rig/report"
)

// A real `go test -json` of Go 1.26, shortened: a pass, a failure, a skip, an output line with quotes, a package without
// tests.
const events = `{"Time":"2026-01-01T00:00:00Z","Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"a","Test":"TestGood","Elapsed":0.25}
{"Action":"run","Package":"a","Test":"TestBad"}
{"Action":"output","Package":"a","Test":"TestBad","Output":"    a_test.go:5: got \"x\", want {\"Action\":\"pass\",\"Test\":\"no\"}\n"}
{"Action":"fail","Package":"a","Test":"TestBad","Elapsed":0}
{"Action":"run","Package":"a","Test":"TestSkipped"}
{"Action":"output","Package":"a","Test":"TestSkipped","Output":"=== RUN   TestSkipped\n"}
{"Action":"output","Package":"a","Test":"TestSkipped","Output":"    a_test.go:9: needs root\n"}
{"Action":"output","Package":"a","Test":"TestSkipped","Output":"--- SKIP: TestSkipped (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestSkipped","Elapsed":0}
{"Action":"fail","Package":"a","Elapsed":0.01}
go: downloading example.org/x v1.0.0
{"Action":"output","Package":"b","Output":"?   \tb\t[no test files]\n"}
{"Action":"skip","Package":"b","Elapsed":0}
`

func verdict(pkg, test string, o report.Outcome, seconds, text string) report.Verdict {
	return report.Verdict{Kernel: "unit", Case: pkg, Phase: test, Outcome: o, Seconds: seconds, Text: text}
}

func TestUnreachable(t *testing.T) {
	failed := errors.New("exit status 1")
	for _, c := range []struct {
		said    string
		err     error
		skipped int
		fails   bool
	}{
		{"No vulnerabilities found.", nil, 0, false},
		{"Vulnerability #1: GO-2026-0001", errors.New("exit status 3"), 0, true},
		{"govulncheck: fetching vulnerabilities: no such host", failed, 1, false},
		{"govulncheck: loading packages: no such file", failed, 0, true},
	} {
		r, err := unreachable(c.said, c.err, io.Discard)
		if r.Skipped != c.skipped || (err != nil) != c.fails {
			t.Errorf("%q: %+v, %v", c.said, r, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := answers(address, nil); err != nil {
		t.Errorf("who listens: %v", err)
	}
	l.Close()
	if answers(address, []string{"https_proxy="}) == nil {
		t.Error("nobody listens there")
	}
	if err := answers(address, []string{"HTTPS_PROXY=http://p.example"}); err != nil {
		t.Errorf("by a proxy: %v", err)
	}
}

func TestOtherClang(t *testing.T) {
	for said, want := range map[string]string{
		"Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu\n": "",
		"Debian clang version 19.1.7 (3+b1)\n":                       "19",
		"clang version 4.0.1\n":                                      "4",
		"something else\n":                                           "",
	} {
		if got := otherClang(said); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}

func TestReadGoTest(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []report.Verdict
		noise    []string
	}{
		{"all kinds", events, []report.Verdict{
			verdict("a", "TestGood", report.Pass, "0.25", ""),
			verdict("a", "TestBad", report.Fail, "0.00", `a_test.go:5: got "x", want {"Action":"pass","Test":"no"}`),
			verdict("a", "TestSkipped", report.Skip, "0.00", "a_test.go:9: needs root"),
		}, []string{"go: downloading example.org/x v1.0.0"}},
		{"a package that does not build", `{"ImportPath":"a [a.test]","Action":"build-output","Output":"./a.go:3:1: syntax error\n"}
{"ImportPath":"a [a.test]","Action":"build-fail"}
{"Action":"start","Package":"a"}
{"Action":"output","Package":"a","Output":"FAIL\ta [build failed]\n"}
{"Action":"fail","Package":"a","Elapsed":0,"FailedBuild":"a [a.test]"}
`, []report.Verdict{verdict("a", "", report.Fail, "0.00", "./a.go:3:1: syntax error\nFAIL\ta [build failed]")}, nil},
		{"a test that ends its program", `{"Action":"run","Package":"a","Test":"TestExits"}
{"Action":"output","Package":"a","Test":"TestExits","Output":"=== RUN   TestExits\n"}
{"Action":"fail","Package":"a","Elapsed":0}
`, []report.Verdict{verdict("a", "TestExits", report.Fail, "0.00", "it never ended\n=== RUN   TestExits")}, nil},
		{"a stream that is cut off", `{"Action":"run","Package":"a","Test":"TestLong"}
{"Action":"output","Pack`, []report.Verdict{verdict("a", "TestLong", report.Fail, "0.00", "it never ended")}, []string{`{"Action":"output","Pack`}},
		{"a skip without a reason", `{"Action":"run","Package":"a","Test":"T"}
{"Action":"skip","Package":"a","Test":"T","Elapsed":0}
`, []report.Verdict{verdict("a", "T", report.Skip, "0.00", "it does not say why")}, nil},
		{"nothing", "", nil, nil},
	} {
		got, err := readGoTest(strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, got.verdicts); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if d := cmp.Diff(c.noise, got.noise); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestReadClosing(t *testing.T) {
	for line, want := range map[string]Result{
		"3 passed, 0 failed":            {Passed: 3},
		"3 passed, 2 failed, 7 skipped": {Passed: 3, Failed: 2, Skipped: 7},
	} {
		if got, ok := readClosing(line); !ok || !cmp.Equal(got, want) {
			t.Errorf("%q: %v %v", line, got, ok)
		}
	}
	for _, line := range []string{"", "passed", "3 passed, 0 failed and more", " 3 passed, 0 failed", "99999999999999999999 passed, 0 failed"} {
		if got, ok := readClosing(line); ok {
			t.Errorf("%q is read as %v", line, got)
		}
	}
}

func testJob(t *testing.T, limit time.Duration) (*job, *text) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, errors.New("TIMEOUT"))
	t.Cleanup(cancel)
	out := &text{}
	return &job{ctx: ctx, repo: t.TempDir(), work: t.TempDir(), out: out}, out
}

func TestCounted(t *testing.T) {
	for _, c := range []struct {
		script string
		want   Result
		fails  bool
	}{
		{"echo x; echo 2 passed, 0 failed", Result{Passed: 2}, false},
		{"echo x; echo 2 passed, 1 failed; exit 1", Result{Passed: 2, Failed: 1}, true},
		{"echo 2 passed, 0 failed; exit 3", Result{Passed: 2}, true},
		{"echo 2 passed, 0 failed; echo done", Result{}, true},
		{"printf '2 passed, 0 failed'", Result{Passed: 2}, false},
		{"true", Result{}, true},
	} {
		j, _ := testJob(t, time.Minute)
		got, err := j.counted("sh", "-c", c.script)
		if !cmp.Equal(got, c.want) || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v", c.script, got, err)
		}
	}
}

// A command whose time is up ends, and so does what it started in the background.
func TestTimeout(t *testing.T) {
	j, _ := testJob(t, time.Second)
	held := filepath.Join(t.TempDir(), "fifo")
	begin := time.Now()
	// The reader sees the end of the fifo when the last writer, the background process, is gone.
	err := j.run("sh", "-c", `mkfifo "$0"; sleep 1000 >"$0" & exec cat "$0" >/dev/null`, held)
	if err == nil || err.Error() != "TIMEOUT" {
		t.Errorf("%v", err)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	if j.cpu == 0 {
		t.Error("what it cost is not known")
	}
	f, err := os.OpenFile(held, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	children, err := filepath.Glob("/proc/[0-9]*/fd/1")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range children {
		if to, err := os.Readlink(fd); err == nil && to == held {
			t.Errorf("%s still writes there", fd)
		}
	}
}

func TestRun(t *testing.T) {
	if _, err := choose(Steps(false), []string{"vet", "nothing"}); !errors.Is(err, ErrUsage) {
		t.Errorf("%v", err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	all := testRunner(t, out).steps(context.Background(), []Step{
		{Name: "last", Limit: time.Minute, holds: true, run: afterOthers("echo 1 passed, 1 failed")},
		{Name: "one", Limit: time.Minute, run: func(j *job) (Result, error) { return Result{}, j.run("true") }},
		{Name: "two", Limit: time.Minute, run: func(j *job) (Result, error) { return Result{}, j.run("false") }},
		{Name: "three", Limit: time.Minute, run: script("sh", "-c", "echo 5 passed, 0 failed; exit 1")},
	})
	got := map[string]Result{}
	for _, d := range all {
		got[d.step.Name] = d.result
	}
	want := map[string]Result{"one": {Passed: 1}, "two": {Failed: 1}, "three": {Passed: 5, Failed: 1}, "last": {Passed: 1, Failed: 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if all[3].step.Name != "last" {
		t.Errorf("%s ran last", all[3].step.Name)
	}

	var b bytes.Buffer
	if err := writeJSON(&b, all); err != nil || !json.Valid(bytes.SplitN(b.Bytes(), []byte("\n"), 2)[0]) {
		t.Errorf("%v: %s", err, b.Bytes())
	}
	b.Reset()
	if err := writeJUnit(&b, all); err != nil || !strings.Contains(b.String(), `tests="4" failures="3"`) {
		t.Errorf("%v: %s", err, b.String())
	}
}

// testRunner is one that prints to out.
func testRunner(t *testing.T, out *os.File) *runner {
	t.Helper()
	r := &runner{options: Options{Out: out, Repo: t.TempDir()}, work: t.TempDir(), progress: newProgress(out, ""), ended: make(chan done)}
	if err := r.lockOthers(); err != nil {
		t.Fatal(err)
	}
	return r
}

// afterOthers is a step that waits until nobody has job.others locked.
func afterOthers(command string) func(*job) (Result, error) {
	return func(j *job) (Result, error) { return j.counted("flock", "-s", j.others, "sh", "-c", command) }
}

// What runs beside the others is not waited for by a step that holds back until they have ended, and its words come after
// that one's.
func TestBeside(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	all := testRunner(t, out).steps(context.Background(), []Step{
		{Name: "last", Limit: time.Minute, holds: true, run: func(j *job) (Result, error) {
			if err := j.run("echo", "at once"); err != nil {
				return Result{}, err
			}
			return afterOthers("echo told >'" + pipe + "'; echo 1 passed, 0 failed")(j)
		}},
		// It ends only when the last step runs, which ends after it has been told.
		{Name: "beside", Limit: time.Minute, beside: true, run: script("sh", "-c", "cat '"+pipe+"'; echo 2 passed, 0 failed")},
		{Name: "one", Limit: time.Minute, run: func(j *job) (Result, error) { return Result{}, j.run("true") }},
		{Name: "two", Limit: time.Minute, run: func(j *job) (Result, error) { return Result{}, j.run("true") }},
	})
	got := map[string]Result{}
	for _, d := range all {
		got[d.step.Name] = d.result
	}
	want := map[string]Result{"one": {Passed: 1}, "two": {Passed: 1}, "beside": {Passed: 2}, "last": {Passed: 1}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	said, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	var heads []string
	for l := range strings.Lines(string(said)) {
		if strings.HasPrefix(l, "=== ") || strings.HasPrefix(l, "at once") || strings.HasPrefix(l, "--- last") {
			heads = append(heads, strings.Fields(l)[1])
		}
	}
	slices.Sort(heads[:2])
	if want := []string{"one", "two", "last", "once", "last", "beside"}; !slices.Equal(heads, want) {
		t.Errorf("%v, not %v:\n%s", heads, want, said)
	}
}

// The door names the steps too, to know what to install.
func TestDoorKnowsSteps(t *testing.T) {
	door, err := os.ReadFile("../../scripts/test.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Steps(false) {
		if !strings.Contains(string(door), " "+s.Name+" ") && !strings.Contains(string(door), "("+s.Name+" ") && !strings.Contains(string(door), " "+s.Name+")") {
			t.Errorf("scripts/test.sh does not know %s", s.Name)
		}
	}
}

// What failed is told once more at the end, a line each, from what the step knows best.
func TestFailures(t *testing.T) {
	all := []done{
		{step: Step{Name: "unit"}, result: Result{Verdicts: []report.Verdict{
			verdict("a", "TestGood", report.Pass, "0", ""),
			verdict("a", "TestBad", report.Fail, "0", "a_test.go:5: no\nmore"),
		}}, err: errors.New("exit status 1")},
		{step: Step{Name: "vm"}, result: Result{Verdicts: []report.Verdict{
			{Kernel: "arm-6.12", Case: "self", Phase: "check", Outcome: report.Fail, Text: "hung"},
		}}},
		{step: Step{Name: "build"}, out: []byte("ok one\nFAIL two\n"), err: errors.New("exit status 1")},
		{step: Step{Name: "man"}, out: []byte("FAIL is what a test of this is about\n")},
	}
	want := []string{
		"FAILED unit: a TestBad: a_test.go:5: no",
		"FAILED unit: exit status 1",
		"FAILED vm: arm-6.12 self/check: hung",
		"FAILED build: FAIL two",
		"FAILED build: exit status 1",
	}
	if d := cmp.Diff(want, failures(all)); d != "" {
		t.Error(d)
	}
}
