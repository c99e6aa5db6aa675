// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"safeload/internal/rig/report"
)

// Steps are the gate's steps in the order in which they start: long ones first, so that both cores are busy to the end. A
// limit is no measure. quick has an answer in five minutes.
func Steps(quick bool) []Step {
	if quick {
		return []Step{
			{Name: "vm", Limit: 40 * time.Minute, holds: true, run: vmTest("--arch", "arm", "--kernel", "6.12", "--case", "self")},
			{Name: "unit", Limit: 20 * time.Minute, run: func(j *job) (Result, error) { return goTest(j, nil, "-short", "./...") }},
			{Name: "diff", Limit: 20 * time.Minute, run: script("scripts/diff-test.sh", "--random", "5", "--depmod", "5")},
		}
	}
	return []Step{
		{Name: "vm", Limit: 80 * time.Minute, holds: true, run: vmTest()},
		{Name: "package", Limit: 45 * time.Minute, beside: true, run: script("scripts/pkg-test.sh", "--boot")},
		{Name: "unit", Limit: 40 * time.Minute, run: unit},
		{Name: "diff", Limit: 20 * time.Minute, run: script("scripts/diff-test.sh")},
		{Name: "lint", Limit: 15 * time.Minute, run: lint},
		{Name: "build", Limit: 15 * time.Minute, run: script("scripts/build-test.sh")},
		{Name: "audit", Limit: 15 * time.Minute, run: script("scripts/audit-test.sh")},
		{Name: "vet", Limit: 15 * time.Minute, run: vet},
		{Name: "vuln", Limit: 10 * time.Minute, run: vuln},
		{Name: "generate", Limit: 5 * time.Minute, run: generate},
		{Name: "modules", Limit: 5 * time.Minute, run: modules},
		{Name: "shell", Limit: 5 * time.Minute, run: shell},
		{Name: "format", Limit: 5 * time.Minute, run: format},
		{Name: "man", Limit: 5 * time.Minute, run: man},
	}
}

// alone are packages that start no goroutine, in tests neither, and compute for long: the race detector would have nothing to
// find in them, and makes them five times as slow. A test of this package looks whether they are so.
var alone = []string{"safeload/audit/internal/isa", "safeload/internal/inflate", "safeload/internal/xz", "safeload/internal/zstd", "safeload/timeline"}

// compiling is what the environment of a compiler has besides (scripts/go.sh).
var compiling = []string{"GOGC=400"}

// unit runs all unit tests, under the race detector. The step vet vets.
func unit(j *job) (Result, error) {
	args := []string{"-vet=off", "-race", uncheckedNowhere}
	// The library that decompresses has tests of its own. Pointers are checked as everywhere with -race.
	for _, p := range append(alone, "github.com/klauspost/compress/...") {
		args = append(args, "-gcflags="+p+"=-race=false -d=checkptr -dwarf=false")
	}
	return goTest(j, []string{"CGO_ENABLED=1"}, append(args, "./...")...)
}

// uncheckedNowhere: with -race the compiler has pointers checked by the rules of Go's heap. This package reads what the
// kernel laid out before Go's runtime starts, where they do not hold.
const uncheckedNowhere = "-gcflags=safeload/internal/nowhere=-d=checkptr=0 -dwarf=false"

// script is a step that is a test program of its own.
func script(name string, args ...string) func(*job) (Result, error) {
	return func(j *job) (Result, error) { return j.counted(name, args...) }
}

// vmTest is the step of the guests; their verdicts are in the rig's own report.
func vmTest(args ...string) func(*job) (Result, error) {
	return func(j *job) (Result, error) {
		file := filepath.Join(j.work, "vm.json")
		r, err := j.counted("scripts/vm-test.sh", append([]string{"--no-install", "--hold", j.others, "--json", file}, args...)...)
		if b, e := os.ReadFile(file); e == nil {
			r.Verdicts, e = readVM(b)
			err = errors.Join(err, e)
		}
		return r, err
	}
}

// readVM reads the JSON that vm-test.sh writes.
func readVM(b []byte) ([]report.Verdict, error) {
	var verdicts []report.Verdict
	for in := json.NewDecoder(bytes.NewReader(b)); ; {
		var v struct {
			Kernel, Version, Case, Phase string
			Verdict                      report.Outcome
			Seconds                      float64
			Text                         string
			First                        string `json:"first_try"`
		}
		if err := in.Decode(&v); err == io.EOF {
			return verdicts, nil
		} else if err != nil {
			return verdicts, fmt.Errorf("the report of vm-test.sh: %w", err)
		}
		verdicts = append(verdicts, report.Verdict{Kernel: v.Kernel, Version: v.Version, Case: v.Case, Phase: v.Phase, Outcome: v.Verdict,
			Seconds: fmt.Sprintf("%.2f", v.Seconds), Text: v.Text, First: v.First})
	}
}

// goTest runs unit tests. A skipped test is named with its reason: it has not passed.
func goTest(j *job, env []string, args ...string) (Result, error) {
	var events bytes.Buffer
	// What is for the compiler is not for the tests.
	err := j.command(&events, append(env, compiling...), "go", append([]string{"test", "-json", "-exec", "env -u GOGC"}, args...)...)
	t, e := readGoTest(&events)
	for _, line := range t.noise {
		fmt.Fprintln(j.out, line)
	}
	for _, v := range t.verdicts {
		switch v.Outcome {
		case report.Fail:
			fmt.Fprintf(j.out, "FAIL %s %s\n%s\n", v.Case, v.Phase, indent(v.Text))
		case report.Skip:
			fmt.Fprintf(j.out, "skipped: %s %s: %s\n", v.Case, v.Phase, v.Text)
		}
	}
	r := Result{Verdicts: t.verdicts}
	r.Passed, r.Failed, r.Skipped = report.Count(t.verdicts)
	if err == nil && e == nil && r.Passed == 0 {
		err = errors.New("no test ran")
	}
	return r, errors.Join(err, e)
}

func indent(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }

// files are those that git knows and that are there; a link to nowhere is not.
func files(j *job, patterns ...string) ([]string, error) {
	out, err := j.output("git", append([]string{"ls-files", "-z", "--"}, patterns...)...)
	var list []string
	for f := range strings.SplitSeq(string(out), "\x00") {
		if info, e := os.Stat(filepath.Join(j.repo, f)); e == nil && info.Mode().IsRegular() {
			list = append(list, f)
		}
	}
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("git knows no file %s", patterns)
	}
	return list, err
}

// onFiles runs a program on the files of some patterns.
func onFiles(j *job, patterns []string, name string, args ...string) error {
	list, err := files(j, patterns...)
	if err != nil {
		return err
	}
	return j.run(name, append(args, list...)...)
}

func format(j *job) (Result, error) {
	list, err := files(j, "*.go")
	if err != nil {
		return Result{}, err
	}
	bad, err := j.output("gofmt", append([]string{"-l"}, list...)...)
	if err == nil && len(bad) > 0 {
		err = fmt.Errorf("gofmt: %s", bad)
	}
	if err != nil {
		return Result{}, err
	}
	list, err = files(j, "*.go", "*.s", "*.sh", "*.c", "*.h", ":!*_bpfel.go")
	for _, f := range list {
		b, e := os.ReadFile(filepath.Join(j.repo, f))
		if e == nil && len(b) > 0 && !bytes.Contains(b, []byte("SPDX-License-Identifier:")) {
			e = fmt.Errorf("%s: no SPDX line", f)
		}
		err = errors.Join(err, e)
	}
	// What is built is not committed, but for the BPF objects.
	list, e := files(j, ":!bpf/*_bpfel.o")
	err = errors.Join(err, e)
	for _, f := range list {
		b, e := os.ReadFile(filepath.Join(j.repo, f))
		if e == nil && bytes.IndexByte(b, 0) >= 0 {
			e = fmt.Errorf("%s: is no text; commit no binaries", f)
		}
		err = errors.Join(err, e)
	}
	return Result{}, err
}

func modules(j *job) (Result, error) {
	return Result{}, errors.Join(j.run("go", "mod", "verify"), j.run("go", "mod", "tidy", "-diff"),
		j.run("go", "-C", "examples/loadmod", "mod", "tidy", "-diff"))
}

// architectures beside the machine's own; GOARM is for arm.
var architectures = [][]string{{"GOARCH=arm", "GOARM=6"}, {"GOARCH=arm64"}}

func vet(j *job) (Result, error) {
	var err error
	for _, env := range append([][]string{nil}, architectures...) {
		err = errors.Join(err, j.command(j.out, append(env, compiling...), "go", "vet", "-tags", "vmtest", "./..."))
	}
	return Result{}, err
}

// lint: go tool would build the linter itself for arm.
func lint(j *job) (Result, error) {
	program := filepath.Join(j.work, "staticcheck")
	if err := j.command(j.out, compiling, "go", "build", "-o", program, "honnef.co/go/tools/cmd/staticcheck"); err != nil {
		return Result{}, err
	}
	return Result{}, errors.Join(functionsFit(j), roomsListed(j), j.command(j.out, compiling, program, "./..."),
		j.command(j.out, append(architectures[0], compiling...), program, "./..."))
}

// vulnDB has the database of known vulnerabilities.
const vulnDB = "vuln.go.dev:443"

// vuln looks for known vulnerabilities in what the programs call. It asks a database on the network: where that cannot be
// reached the step is skipped, and the report counts it as that.
func vuln(j *job) (Result, error) {
	if err := answers(vulnDB, os.Environ()); err != nil { // before the program is built
		return notReached(j.out, err)
	}
	program := filepath.Join(j.work, "govulncheck")
	if err := j.run("go", "-C", "scripts/tools/vuln", "build", "-o", program, "golang.org/x/vuln/cmd/govulncheck"); err != nil {
		return Result{}, err
	}
	quiet := *j
	var said bytes.Buffer
	quiet.out = &said
	err := quiet.run(program, "./...")
	j.cpu = quiet.cpu
	return unreachable(said.String(), err, j.out)
}

// answers says why nobody answers at an address. By a proxy it is not tried.
func answers(address string, env []string) error {
	for _, e := range env {
		if name, proxy, _ := strings.Cut(e, "="); strings.EqualFold(name, "https_proxy") && proxy != "" {
			return nil
		}
	}
	c, err := net.DialTimeout("tcp", address, 20*time.Second)
	if err == nil {
		err = c.Close()
	}
	return err
}

// unreachable makes a skipped test of a database that did not answer, and prints what was said in all other cases.
func unreachable(said string, err error, out io.Writer) (Result, error) {
	if err != nil && strings.Contains(said, "govulncheck: fetching vulnerabilities:") {
		return notReached(out, err)
	}
	fmt.Fprint(out, said)
	return Result{}, err
}

// notReached skips the step.
func notReached(out io.Writer, why error) (Result, error) {
	fmt.Fprintln(out, "skipped: the database of vulnerabilities cannot be reached:", why)
	return Result{Skipped: 1}, nil
}

func shell(j *job) (Result, error) {
	return Result{}, onFiles(j, []string{"*.sh", ".ci/run"}, "shellcheck", "-x")
}

func man(j *job) (Result, error) {
	return Result{}, onFiles(j, []string{"man/*.[1-8]"}, "mandoc", "-Tlint", "-W", "warning")
}

// clangMajor is the version of the compiler that the committed BPF objects are made with, Debian 12's. Another one makes
// others of the same sources.
const clangMajor = "14"

var clangVersion = regexp.MustCompile(`clang version (\d+)\.`)

// otherClang says which clang this is, if it is another one.
func otherClang(said string) string {
	if m := clangVersion.FindStringSubmatch(said); m != nil && m[1] != clangMajor {
		return m[1]
	}
	return ""
}

// generate compares what is generated and committed with what its sources give, in a copy of the tree. With a compiler that
// gives something else the step is skipped, and the report counts it as that.
func generate(j *job) (Result, error) {
	said, err := j.output("clang", "--version")
	if err != nil {
		return Result{}, err
	}
	if other := otherClang(string(said)); other != "" {
		fmt.Fprintf(j.out, "skipped: the committed objects are clang %s's, this is clang %s\n", clangMajor, other)
		return Result{Skipped: 1}, nil
	}
	list, err := files(j)
	if err != nil {
		return Result{}, err
	}
	for _, f := range list {
		b, err := os.ReadFile(filepath.Join(j.repo, f))
		if err == nil {
			to := filepath.Join(j.work, f)
			err = errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, 0o644))
		}
		if err != nil {
			return Result{}, err
		}
	}
	if err := j.run("go", "-C", j.work, "generate", "./..."); err != nil {
		return Result{}, err
	}
	if list, err = files(j, "*_bpfel.*"); err != nil {
		return Result{}, err
	}
	for _, f := range list {
		committed, e1 := os.ReadFile(filepath.Join(j.repo, f))
		made, e2 := os.ReadFile(filepath.Join(j.work, f))
		if e1 == nil && e2 == nil && !bytes.Equal(committed, made) {
			e1 = fmt.Errorf("%s: run 'go generate ./...' and commit the result", f)
		}
		err = errors.Join(err, e1, e2)
	}
	return Result{}, err
}
