// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// grace is how long what was told to end may take to do so.
const grace = 20 * time.Second

// A job is a step that runs: where its commands write, and what they cost.
type job struct {
	ctx  context.Context
	repo string
	work string // a directory of its own
	// others is locked (flock) until all steps have ended but for those that run beside them.
	others string
	out    io.Writer
	cpu    time.Duration
}

// command runs a program in the repository, in a process group of its own. When the job's time is up, all that the
// program started is told to end, and killed if it does not.
func (j *job) command(stdout io.Writer, env []string, name string, args ...string) error {
	c := exec.CommandContext(j.ctx, name, args...)
	c.Dir, c.Env = j.repo, append(os.Environ(), env...)
	c.Stdout, c.Stderr = stdout, j.out
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = grace
	if err := c.Start(); err != nil {
		return err
	}
	err := c.Wait()
	// Of a step whose time is up this is a part: what it started may not have been waited for.
	if c.ProcessState != nil {
		j.cpu += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	if j.ctx.Err() != nil {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		return context.Cause(j.ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// run is command for what prints only what a reader wants to see.
func (j *job) run(name string, args ...string) error { return j.command(j.out, nil, name, args...) }

// output gives what a program prints.
func (j *job) output(name string, args ...string) ([]byte, error) {
	var b bytes.Buffer
	err := j.command(&b, nil, name, args...)
	return b.Bytes(), err
}

var closing = regexp.MustCompile(`^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$`)

// readClosing reads the counts in the last line of what a test program prints. There must be such a line: a program that
// ended early has not passed.
func readClosing(line string) (r Result, ok bool) {
	m := closing.FindStringSubmatch(line)
	if m == nil {
		return r, false
	}
	numbers := []*int{&r.Passed, &r.Failed, &r.Skipped}
	for i, into := range numbers {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return r, false
		}
		*into = n
	}
	return r, true
}

// counted runs a test program that ends with "N passed, N failed".
func (j *job) counted(name string, args ...string) (Result, error) {
	last := &lastLine{}
	err := j.command(io.MultiWriter(j.out, last), nil, name, args...)
	r, ok := readClosing(last.String())
	if !ok && err == nil {
		err = fmt.Errorf("%s: the last line is not \"N passed, N failed\"", name)
	}
	return r, err
}

// lastLine keeps the last line that is written to it.
type lastLine struct{ ended, line []byte }

func (l *lastLine) Write(p []byte) (int, error) {
	for _, b := range p {
		if b == '\n' {
			l.ended, l.line = append(l.ended[:0], l.line...), l.line[:0]
			continue
		}
		l.line = append(l.line, b)
	}
	return len(p), nil
}

func (l *lastLine) String() string {
	if len(l.line) > 0 {
		return string(l.line)
	}
	return string(l.ended)
}

// text is a buffer that several goroutines may write to, and that can be opened.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
	to io.Writer // once it is open
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.to != nil {
		return t.to.Write(p)
	}
	return t.b.Write(p)
}

// open writes what is there, and lets what comes through.
func (t *text) open(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to = w
	_, _ = t.b.WriteTo(w)
}

// rest is what was written and not let through; printed if it was opened.
func (t *text) rest() (rest []byte, printed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.b.Bytes()), t.to != nil
}
