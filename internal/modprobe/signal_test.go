// SPDX-License-Identifier: Apache-2.0

package modprobe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/modload"
	"safeload/internal/modprobe"
)

// A process of its own meets the signal.
func TestMain(m *testing.M) {
	dir := os.Getenv("SAFELOAD_TEST_SIGNAL_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	sig, err := strconv.Atoi(os.Getenv("SAFELOAD_TEST_SIGNAL"))
	if err != nil {
		os.Exit(9)
	}
	if syscall.Signal(sig) == syscall.SIGALRM {
		if _, err := unix.Setitimer(unix.ITIMER_REAL, unix.Itimerval{Value: unix.Timeval{Usec: 50_000}}); err != nil {
			os.Exit(9)
		}
		sig = 0
	}
	os.Exit(modprobe.Main(&modprobe.Env{
		Args:   []string{"modprobe", "-d", dir, "-S", "V", "-C", filepath.Join(dir, "conf"), "x2"},
		System: signalled{kernel{fake: &fake{}}, syscall.Signal(sig)},
	}))
}

// signalled is a kernel that meets a signal while it loads a module.
type signalled struct {
	kernel
	signal syscall.Signal
}

func (s signalled) Guard(string) modload.Guard { return nil }

func (s signalled) Insert(_, _, _ string, _ finit.Flags) error {
	_ = unix.Kill(os.Getpid(), s.signal)
	time.Sleep(time.Minute) // the signal ends it
	return nil
}

// What ends kmod's modprobe while a load lasts ends this one, an alarm that was
// set before execve(2) too.
func TestSignals(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := root(t)
	for _, sig := range []syscall.Signal{
		syscall.SIGALRM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGUSR1,
		syscall.SIGUSR2, syscall.SIGSTKFLT, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGVTALRM, syscall.SIGPROF, syscall.SIGIO, syscall.SIGPWR,
	} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), "SAFELOAD_TEST_SIGNAL_DIR="+dir, "SAFELOAD_TEST_SIGNAL="+strconv.Itoa(int(sig)))
			out, _ := cmd.CombinedOutput()
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != sig || len(out) > 0 {
				t.Errorf("%v\n%.300s", cmd.ProcessState, out)
			}
		})
	}
}
