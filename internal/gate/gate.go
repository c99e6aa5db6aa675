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
	"syscall"
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
	// beside: the step waits for most of its time, for a guest that takes one of the machine's slots as all guests do. It
	// starts with the others, and does not count among those that run at once.
	beside bool
	// holds: the step starts with the others, too, and takes what they leave of the processors; it keeps back what has limits
	// of time by the clock until they have ended (job.others). From then on it prints for itself.
	holds bool
	run   func(*job) (Result, error)
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
	said       *text
	out        []byte // what was said, but for what was printed then
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
	r := runner{options: o, work: work, progress: newProgress(o.Out, timesFile(o)), ended: make(chan done)}
	if err := r.lockOthers(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithDeadlineCause(ctx, begin.Add(total), fmt.Errorf("TIMEOUT: all steps together have %s", total))
	defer cancel()
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
	others   *os.File // locked until all steps have ended but for those beside them
	ended    chan done

	running int              // steps of those that are atOnce
	behind  map[string]*text // what steps say that run beside these
	live    string           // the one of them that prints for itself
	all     []done
	later   []done // what ended beside one that prints for itself
}

// lockOthers makes and locks the file. Whoever waits for it goes on, too, when this program is gone.
func (r *runner) lockOthers() (err error) {
	if r.others, err = os.Create(filepath.Join(r.work, "others")); err == nil {
		err = syscall.Flock(int(r.others.Fd()), syscall.LOCK_EX)
	}
	return err
}

// atOnce: most steps keep less than one core busy for some of their time. More at once only lengthens each, up to the
// limits of time that the guests of a step have.
const atOnce = 2

// steps runs them in their order.
func (r *runner) steps(ctx context.Context, steps []Step) []done {
	r.behind = map[string]*text{}
	for _, s := range steps {
		out := &text{}
		if s.beside || s.holds {
			r.behind[s.Name] = out
		} else {
			for r.running >= atOnce {
				r.next()
			}
			r.running++
		}
		go r.step(ctx, s, out)
	}
	for r.running > 0 {
		r.next()
	}
	r.release(steps)
	for len(r.behind) > 0 {
		r.next()
	}
	return r.all
}

// release lets a step go on with what it kept back, and print.
func (r *runner) release(steps []Step) {
	_ = r.others.Close()
	for _, s := range steps {
		if out := r.behind[s.Name]; s.holds && out != nil {
			r.live = s.Name
			r.progress.share()
			r.progress.line("=== " + s.Name)
			out.open(r.options.Out)
			return
		}
	}
}

// next takes the next step that ends. What ends beside a step that prints for itself is printed after it.
func (r *runner) next() {
	d := <-r.ended
	d.out, d.outPrinted = d.said.rest()
	r.all = append(r.all, d)
	if r.behind[d.step.Name] == nil {
		r.running--
	}
	delete(r.behind, d.step.Name)
	switch r.live {
	case "":
		r.print(d)
	case d.step.Name:
		r.live = ""
		r.print(d)
		for _, d := range r.later {
			r.print(d)
		}
	default:
		r.later = append(r.later, d)
	}
}

func (r *runner) step(ctx context.Context, s Step, out *text) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Limit, fmt.Errorf("TIMEOUT: not done after %s", s.Limit))
	defer cancel()
	begin := time.Now()
	r.progress.started(s)
	j := &job{ctx: ctx, repo: r.options.Repo, work: filepath.Join(r.work, s.Name), others: r.others.Name(), out: out}
	d := done{step: s}
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
	d.took, d.cpu, d.said = time.Since(begin), j.cpu, out
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
