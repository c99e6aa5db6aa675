// SPDX-License-Identifier: Apache-2.0

package main

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { tools["vforks"] = vforks }

// vforks sleeps in state D again and again, 30 ms each time, as a program does that reads from a slow disk: it waits in
// vfork(2) for a child that sleeps. A signal ends it.
func vforks([]string) int {
	for {
		pid, errno := vfork()
		if errno != 0 {
			return fatal("vfork: %v", errno)
		}
		if err := reap(pid); err != nil {
			return fatal("wait for a child: %v", err)
		}
	}
}

var childSleeps = syscall.NsecToTimespec(int64(30 * time.Millisecond))

// vfork returns in the parent only, when the child, which has pages of its own, has ended. The child makes no call into Go.
//
//go:norace
//go:nosplit
func vfork() (pid uintptr, errno syscall.Errno) {
	pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD)|unix.CLONE_VFORK, 0, 0, 0, 0, 0)
	if pid == 0 && errno == 0 {
		syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&childSleeps)), 0, 0)
		for {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return pid, errno
}
