// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"bytes"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if os.Getenv("FINIT_TEST_WAITER") != "" {
		waiter()
	}
	if os.Getenv("FINIT_TEST_DIES") != "" {
		dying()
	}
	os.Exit(m.Run())
}

// waiter stands for a load that waits in the kernel: it says so and sleeps in
// a system call with the signals of submit.
func waiter() {
	_ = submit(func() error {
		_, _ = unix.Write(1, []byte("waiting\n"))
		for {
			_ = unix.Nanosleep(&unix.Timespec{Sec: 3600}, nil)
		}
	})
}

// EINTR may be what an init returned: it is not asked again.
func TestSubmitAsksOnce(t *testing.T) {
	calls := 0
	err := submit(func() error { calls++; return unix.EINTR })
	if err != unix.EINTR || calls != 1 {
		t.Errorf("%d calls, %v; want 1, EINTR", calls, err)
	}
}

func TestSubmitBlocksSignalsOfItsThread(t *testing.T) {
	mask := func() (m unix.Sigset_t) {
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	has := func(m unix.Sigset_t, s syscall.Signal) bool {
		bits := 32 << (^uint(0) >> 63)
		return m.Val[(int(s)-1)/bits]>>((int(s)-1)%bits)&1 == 1
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := mask()
	var during unix.Sigset_t
	_ = submit(func() error { during = mask(); return nil })
	for _, s := range []syscall.Signal{unix.SIGURG, unix.SIGTERM, unix.SIGINT, unix.SIGPROF, unix.SIGCHLD} {
		if !has(during, s) {
			t.Errorf("%v is not blocked during the call", s)
		}
		if has(before, s) {
			t.Fatalf("%v is blocked in the test itself", s)
		}
	}
	if after := mask(); after != before {
		t.Errorf("mask %v after the call, %v before", after, before)
	}
}

// startChild runs this test program with a further variable, until its first
// words, which it returns. The signals are at their default in it, also where
// this process was started with some ignored (nohup, a shell's "&"): what is
// ignored stays so over execve(2), what is caught does not.
func startChild(t *testing.T, variable string, signals ...os.Signal) (*exec.Cmd, [8]byte) {
	t.Helper()
	caught := make(chan os.Signal, len(signals))
	signal.Notify(caught, signals...)
	defer signal.Stop(caught)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var line [8]byte
	if _, err := out.Read(line[:]); err != nil {
		t.Fatal(err)
	}
	return cmd, line
}

// TestSignalsEndWait holds submit to kmod: SIGTERM and SIGINT end a modprobe
// that waits, although its waiting thread has them blocked; SIGURG does not.
func TestSignalsEndWait(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		cmd, line := startChild(t, "FINIT_TEST_WAITER=1", s)
		if !bytes.HasPrefix(line[:], []byte("waiting")) {
			t.Fatalf("the waiter says %q", line)
		}
		_ = cmd.Process.Signal(syscall.SIGURG)
		_ = cmd.Process.Signal(s)
		_ = cmd.Wait()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != s {
			t.Errorf("after %v: %v", s, cmd.ProcessState)
		}
	}
}

// What is not known is said of both who may have answered.
func TestErrorSaysWho(t *testing.T) {
	const init, kernel = "init returned", "already loaded"
	for who, want := range map[Answerer][2]bool{AnyOf: {true, true}, ByKernel: {false, true}, ByTheInit: {true, false}} {
		e := newError("finit_module", "foo", "/lib/foo.ko", unix.EEXIST)
		e.Answerer = who
		if got := [2]bool{strings.Contains(e.Error(), init), strings.Contains(e.Error(), kernel)}; got != want {
			t.Errorf("%d: %q", who, e)
		}
	}
	for _, errno := range []syscall.Errno{unix.EINTR, unix.ENODEV, unix.EXDEV} {
		if e := newError("init_module", "foo", "/lib/foo.ko", errno); !strings.Contains(e.Error(), init) {
			t.Errorf("%q does not say that init may have returned it", e)
		}
	}
	if e := newError("open", "foo", "/lib/foo.ko", unix.ENOENT); strings.Contains(e.Error(), init) {
		t.Errorf("%q: no init has run", e)
	}
}

func TestErrorSaysWhat(t *testing.T) {
	e := newError("finit_module", "foo", "/lib/foo.ko", unix.ENOKEY)
	for _, part := range []string{"finit_module", "foo", "/lib/foo.ko", unix.ENOKEY.Error(), "signature required"} {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("%q lacks %q", e, part)
		}
	}
}
