// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// dying stands for a load whose init makes the kernel oops: its thread ends in
// the system call, and nothing comes back.
func dying() {
	_, _ = unix.Write(1, []byte("loading\n"))
	for range 3 { // loads before it that end well
		_ = submit(func() error { return nil })
	}
	_ = submit(func() error {
		_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
		return nil
	})
}

// TestThreadDies: the process ends as the kernel would have ended kmod. The
// case oops shows the same with a module.
func TestThreadDies(t *testing.T) {
	cmd, _ := startChild(t, "FINIT_TEST_DIES=1")
	_ = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGSEGV || status.CoreDump() {
		t.Errorf("the process ends with %#x, want SIGSEGV and no core", int(status))
	}
}

func TestWatchedAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if err := submit(func() error { return unix.ENODEV }); err != unix.ENODEV {
					t.Errorf("%v, want ENODEV", err)
				}
			}
		})
	}
	all.Wait()
}
