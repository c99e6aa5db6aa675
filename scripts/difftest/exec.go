// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// testCase is one run of a program.
type testCase struct {
	root string // key of the chroot
	args []string
	env  []string
	// closed is whether standard error is closed.
	closedStderr bool
	// names that the run asks for.
	names int
}

func (c *testCase) String() string {
	s := fmt.Sprintf("%s: %s", c.root, strings.Join(c.env, " "))
	for _, a := range c.args {
		s += fmt.Sprintf(" %q", a)
	}
	return s
}

// outcome is what is compared.
type outcome struct {
	stdout, stderr string
	code           int
	signal         syscall.Signal
}

// nobody has no privileges, so that nothing can be loaded.
const nobody = 65534

// execute runs dir/NAME, where NAME is the first argument.
func execute(root, dir string, c *testCase) outcome {
	var out, errs bytes.Buffer
	cmd := exec.Cmd{
		Path:   dir + "/" + c.args[0],
		Args:   c.args,
		Env:    append([]string{"PATH=/bin"}, c.env...),
		Dir:    "/",
		Stdout: &out,
		Stderr: &errs,
		SysProcAttr: &syscall.SysProcAttr{
			Chroot:     root,
			Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		},
	}
	if c.closedStderr {
		cmd.Args = append([]string{"sh", "-c", `exec "$0" "$@" 2>&-`, cmd.Path}, c.args[1:]...)
		cmd.Path = "/bin/sh"
	}
	err := cmd.Run()
	o := outcome{stdout: out.String(), stderr: errs.String()}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		ws := exit.Sys().(syscall.WaitStatus)
		o.code = ws.ExitStatus()
		if ws.Signaled() {
			o.signal = ws.Signal()
		}
	default:
		fmt.Fprintln(os.Stderr, "difftest: cannot run:", err)
		os.Exit(1)
	}
	return o
}

// comparison is two outcomes of one case.
type comparison struct {
	peer, root string
	c          *testCase
	want, got  outcome
	// rerun runs kmod with more arguments.
	rerun func(more ...string) outcome
}

// difference says how the outcomes differ, "" if they do not but for what is
// allowed.
func (p *comparison) difference() (diff string, allowed []string) {
	for _, a := range allowances {
		if p.want == p.got {
			break
		}
		if a.of(p.peer) && a.apply(p) {
			allowed = append(allowed, a.id)
		}
	}
	want, got := p.want, p.got
	if want == got {
		return "", allowed
	}
	var b strings.Builder
	if want.code != got.code || want.signal != got.signal {
		fmt.Fprintf(&b, "kmod returns %d (signal %d), we %d (%d)\n", want.code, want.signal, got.code, got.signal)
	}
	firstDifference(&b, "stdout", want.stdout, got.stdout)
	firstDifference(&b, "stderr", want.stderr, got.stderr)
	return b.String(), allowed
}

func firstDifference(b *strings.Builder, what, want, got string) {
	if want == got {
		return
	}
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	i := 0
	for i < len(w) && i < len(g) && w[i] == g[i] {
		i++
	}
	line := func(l []string) string {
		if i >= len(l) {
			return "(end)"
		}
		if len(l[i]) > 300 {
			return fmt.Sprintf("%.300q… (%d)", l[i], len(l[i]))
		}
		return fmt.Sprintf("%q", l[i])
	}
	fmt.Fprintf(b, "%s line %d:\n  kmod %s\n  ours %s\n", what, i+1, line(w), line(g))
}
