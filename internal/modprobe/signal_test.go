// SPDX-License-Identifier: Apache-2.0

package modprobe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/modprobe"
)

// A process of its own meets the signal.
func TestMain(m *testing.M) {
	dir := os.Getenv("SAFELOAD_TEST_ALARM")
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := unix.Setitimer(unix.ITIMER_REAL, unix.Itimerval{Value: unix.Timeval{Usec: 50_000}}); err != nil {
		os.Exit(9)
	}
	os.Exit(modprobe.Main(&modprobe.Env{
		Args:   []string{"modprobe", "-d", dir, "-S", "V", "-C", filepath.Join(dir, "conf"), "x2"},
		Insert: func(string, string, string, uint) error { time.Sleep(time.Minute); return nil },
	}))
}

// An alarm that was set before execve(2) ends modprobe, as it does kmod's.
func TestAlarm(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SAFELOAD_TEST_ALARM="+root(t))
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGALRM {
		t.Errorf("%v\n%.300s", cmd.ProcessState, out)
	}
}
