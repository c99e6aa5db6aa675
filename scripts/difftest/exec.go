// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// testCase is one run of a program.
type testCase struct {
	root string // key of the chroot
	args []string
	env  []string
	// dir is where it runs; / if empty.
	dir string
	// closed is whether standard error is closed.
	closedStderr bool
	// syslog is whether what is sent to /dev/log counts, as part of what goes
	// to standard error.
	syslog bool
	// merged is whether both outputs go to one pipe.
	merged bool
	// names that the run asks for.
	names int
	// privileged is whether root runs it.
	privileged bool
	// limit ends it when it has taken so many seconds of a processor, if there is one: on a busy machine a clock would end
	// one of two that do the same.
	limit uint64
}

func (c *testCase) String() string {
	s := fmt.Sprintf("%s%s: %s", c.root, c.dir, strings.Join(c.env, " "))
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
	// files are those that depmod left.
	files string
}

// nobody has no privileges, so that nothing can be loaded.
const nobody = 65534

// execute runs dir/NAME, where NAME is the first argument.
func execute(root, dir string, c *testCase) outcome {
	o, _ := executeCounted(root, dir, c)
	return o
}

// executeCounted is execute, and tells how many page faults the process had.
func executeCounted(root, dir string, c *testCase) (o outcome, faults int64) {
	var out, errs bytes.Buffer
	cmd := exec.Cmd{
		Path:   dir + "/" + c.args[0],
		Args:   c.args,
		Env:    append([]string{"PATH=/bin"}, c.env...),
		Dir:    cmp.Or(c.dir, "/"),
		Stdout: &out,
		Stderr: &errs,
		SysProcAttr: &syscall.SysProcAttr{
			Chroot:     root,
			Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
		},
	}
	if c.merged {
		cmd.Stderr = &out
	}
	if c.closedStderr {
		cmd.Args = append([]string{"sh", "-c", `exec "$0" "$@" 2>&-`, cmd.Path}, c.args[1:]...)
		cmd.Path = "/bin/sh"
	}
	if c.privileged {
		cmd.SysProcAttr.Credential = nil
	}
	var logged func() string
	if c.syslog {
		var err error
		if logged, err = listenSyslog(filepath.Join(root, "dev/log")); err != nil {
			fmt.Fprintln(os.Stderr, "difftest:", err)
			os.Exit(1)
		}
	}
	err := cmd.Start()
	if err == nil {
		if c.limit > 0 {
			_ = unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: c.limit, Max: c.limit}, nil)
			defer time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() }).Stop()
		}
		err = cmd.Wait()
	}
	if c.syslog {
		errs.WriteString(logged())
	}
	o = outcome{stdout: out.String(), stderr: errs.String()}
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
	return o, int64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt)
}

// syslogLock is held by the one run whose messages are listened to.
var syslogLock sync.Mutex

var syslogTime = regexp.MustCompile(`^(<\d+>)[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d `)

// listenSyslog stands for the system's logger. What it returns gives the
// messages that came and ends it.
func listenSyslog(path string) (logged func() string, err error) {
	syslogLock.Lock()
	os.Remove(path)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		err = os.Chmod(path, 0o666)
	}
	if err != nil {
		return nil, err
	}
	return func() string {
		defer syslogLock.Unlock()
		defer l.Close()
		var b strings.Builder
		buf := make([]byte, 1<<16)
		// A message is there before the program that sent it ends.
		for l.SetReadDeadline(time.Now().Add(20*time.Millisecond)) == nil {
			n, err := l.Read(buf)
			if err != nil {
				break
			}
			fmt.Fprintf(&b, "syslog: %s\n", syslogTime.ReplaceAll(buf[:n], []byte("${1}TIME ")))
		}
		return b.String()
	}, nil
}

// comparison is two outcomes of one case.
type comparison struct {
	peer, root string
	c          *testCase
	want, got  outcome
	// rerun runs kmod with more arguments.
	rerun func(more ...string) outcome
	// allowances are those that count; all but depmod's if nil.
	allowances []allowance
}

// difference says how the outcomes differ, "" if they do not but for what is
// allowed.
func (p *comparison) difference() (diff string, allowed []string) {
	list := p.allowances
	if list == nil {
		list = allowances
	}
	for _, a := range list {
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
	firstDifference(&b, "files", want.files, got.files)
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
