// SPDX-License-Identifier: Apache-2.0

// Package gate runs the tests of this repository as CI does: steps with limits of time, several at once, their counts and
// the reasons of what was skipped. It is the inside of scripts/test.sh.
package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"safeload/internal/rig/report"
)

// A Result is what came of a step.
type Result struct {
	Passed, Failed, Skipped int
	// Verdicts are those of single tests, where the step knows them.
	Verdicts []report.Verdict
}

// A Step is a part of the gate.
type Step struct {
	Name  string
	Limit time.Duration
	// alone: the step keeps all cores busy by itself, and what it runs has limits of time.
	alone bool
	// beside: the step waits for most of its time, for a guest that takes one of the machine's slots as all guests do. It
	// starts with the others, and steps that are alone do not wait for it.
	beside bool
	run    func(*job) (Result, error)
}

// Options say what is run, and where it is written.
type Options struct {
	Repo        string
	Quick       bool
	Steps       []string // all if none is named
	JSON, JUnit string   // files, or empty
	Out         *os.File
}

// total is what all steps together may take: CI gives 90 minutes. The last steps have what is left.
const total = 85 * time.Minute

// ErrUsage means a step that does not exist.
var ErrUsage = errors.New("no such step")

// done is a step that has ended.
type done struct {
	step       Step
	result     Result
	err        error
	took, cpu  time.Duration
	out        []byte
	outPrinted bool
}

// Run runs the steps and prints what came of them. It says how many tests passed, failed and were skipped.
func Run(ctx context.Context, o Options) (Result, error) {
	steps, err := choose(Steps(o.Quick), o.Steps)
	if err != nil {
		return Result{}, err
	}
	work, err := os.MkdirTemp("", "safeload-gate.")
	if err != nil {
		return Result{}, err
	}
	defer os.RemoveAll(work)
	begin := time.Now()
	ctx, cancel := context.WithDeadlineCause(ctx, begin.Add(total), fmt.Errorf("TIMEOUT: all steps together have %s", total))
	defer cancel()
	r := runner{options: o, work: work, progress: newProgress(o.Out, timesFile(o)), ended: make(chan done)}
	r.progress.total(steps)
	all := r.steps(ctx, steps)
	r.progress.end()

	var sum Result
	fmt.Fprintln(o.Out)
	for _, d := range all {
		fmt.Fprintln(o.Out, d.line())
		sum.Passed += d.result.Passed
		sum.Failed += d.result.Failed
		sum.Skipped += d.result.Skipped
	}
	fmt.Fprintf(o.Out, "all in %.0f s\n", time.Since(begin).Seconds())
	for _, line := range failures(all) {
		fmt.Fprintln(o.Out, line)
	}
	return sum, errors.Join(writeFile(o.JSON, all, writeJSON), writeFile(o.JUnit, all, writeJUnit))
}

// timesFile keeps what steps took, in the cache that their scripts share.
func timesFile(o Options) string {
	cache := os.Getenv("SAFELOAD_CACHE")
	if cache == "" {
		cache = filepath.Join(o.Repo, ".cache")
	}
	if os.MkdirAll(cache, 0o755) != nil {
		return ""
	}
	name := "gate-times"
	if o.Quick {
		name += "-quick"
	}
	return filepath.Join(cache, name)
}

func choose(all []Step, names []string) ([]Step, error) {
	if len(names) == 0 {
		return all, nil
	}
	var steps []Step
	for _, s := range all {
		for _, n := range names {
			if n == s.Name {
				steps = append(steps, s)
				break
			}
		}
	}
	for _, n := range names {
		known := false
		for _, s := range all {
			known = known || s.Name == n
		}
		if !known {
			return nil, fmt.Errorf("%w: %s", ErrUsage, n)
		}
	}
	return steps, nil
}

// line is the step's line in the summary.
func (d done) line() string {
	verdict := "passed"
	if d.result.Failed > 0 {
		verdict = "FAILED"
	}
	skipped := ""
	if d.result.Skipped > 0 {
		skipped = fmt.Sprintf(", %d skipped", d.result.Skipped)
	}
	return fmt.Sprintf("%-9s %s: %d passed, %d failed%s in %.0f s (CPU %.0f s)", d.step.Name, verdict, d.result.Passed, d.result.Failed,
		skipped, d.took.Seconds(), d.cpu.Seconds())
}

// runner runs steps, as many at once as are good for two cores.
type runner struct {
	options  Options
	work     string
	progress *progress
	ended    chan done
}

// atOnce: most steps keep less than one core busy for some of their time. More at once only lengthens each, up to the
// limits of time that the guests of a step have.
const atOnce = 2

// steps runs them in their order, those that are alone after all others.
func (r *runner) steps(ctx context.Context, steps []Step) []done {
	var all, later []done
	running, beside := 0, 0
	// wait takes the next step that ends. What ends beside a step that prints for itself is printed after it.
	wait := func(alone bool) {
		d := <-r.ended
		if d.step.beside {
			beside--
		} else {
			running--
		}
		if all = append(all, d); alone && d.step.beside {
			later = append(later, d)
			return
		}
		r.print(d)
	}
	for _, s := range steps {
		if s.alone {
			continue
		}
		for !s.beside && running >= atOnce {
			wait(false)
		}
		if s.beside {
			beside++
		} else {
			running++
		}
		go r.step(ctx, s)
	}
	for running > 0 {
		wait(false)
	}
	for _, s := range steps {
		if !s.alone {
			continue
		}
		running++
		go r.step(ctx, s)
		for running > 0 {
			wait(true)
		}
	}
	for _, d := range later {
		r.print(d)
	}
	for beside > 0 {
		wait(false)
	}
	return all
}

func (r *runner) step(ctx context.Context, s Step) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Limit, fmt.Errorf("TIMEOUT: not done after %s", s.Limit))
	defer cancel()
	begin := time.Now()
	r.progress.started(s)
	buffer := &text{}
	j := &job{ctx: ctx, repo: r.options.Repo, work: filepath.Join(r.work, s.Name), out: buffer}
	d := done{step: s}
	if s.alone {
		// Nothing else prints meanwhile.
		r.progress.line("=== " + s.Name)
		j.out, d.outPrinted = r.options.Out, true
	}
	if d.err = os.Mkdir(j.work, 0o755); d.err == nil {
		d.result, d.err = s.run(j)
	}
	// A step that counts nothing counts as one test, and one that failed has a failure whatever it counted.
	switch {
	case d.err != nil && d.result.Failed == 0:
		d.result.Failed = 1
	case d.result.Passed+d.result.Failed+d.result.Skipped == 0:
		d.result.Passed = 1
	}
	d.took, d.cpu, d.out = time.Since(begin), j.cpu, buffer.Bytes()
	r.ended <- d
}

// print prints a step that has ended, its output in one piece.
func (r *runner) print(d done) {
	r.progress.ended(d)
	var b strings.Builder
	if !d.outPrinted {
		fmt.Fprintf(&b, "=== %s\n%s", d.step.Name, d.out)
		if len(d.out) > 0 && d.out[len(d.out)-1] != '\n' {
			b.WriteByte('\n')
		}
	}
	if d.err != nil {
		fmt.Fprintln(&b, d.err)
	}
	b.WriteString("--- " + d.line())
	r.progress.line(b.String())
}

func writeFile(name string, all []done, write func(io.Writer, []done) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f, all), f.Close())
}
