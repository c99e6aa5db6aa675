// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func init() { tools["cost"] = cost }

// cost says what a fork, a start of a program, a load of a module and its
// removal take, one line each: what, and the median in nanoseconds.
//
//	vmtool cost RUNS PROGRAM MODULE-FILE MODULE
func cost(args []string) int {
	if len(args) != 4 {
		return fatal("cost RUNS PROGRAM MODULE-FILE MODULE")
	}
	runs, err := strconv.Atoi(args[0])
	if err != nil || runs < 1 {
		return fatal("cost: %q runs", args[0])
	}
	program, file, module := args[1], args[2], args[3]
	// Nothing of Go's own shall run in what is measured.
	runtime.LockOSThread()
	debug.SetGCPercent(-1)
	// Nor shall a fork have to copy a huge page, if there happens to be one.
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
		return fatal("cost: no huge pages: %v", err)
	}
	f, err := os.Open(file)
	if err != nil {
		return fatal("cost: %v", err)
	}
	defer f.Close()
	for _, c := range []struct {
		name string
		do   func() error
		undo func() error
	}{
		{"fork", fork, nil},
		{"exec", func() error { return start(program) }, nil},
		{"load", func() error { return unix.FinitModule(int(f.Fd()), "", 0) },
			func() error { return unix.DeleteModule(module, unix.O_NONBLOCK) }},
	} {
		took, undone := make([]time.Duration, runs), make([]time.Duration, runs)
		for i := range runs {
			began := time.Now()
			if err := c.do(); err != nil {
				return fatal("cost: %s: %v", c.name, err)
			}
			took[i] = time.Since(began)
			if c.undo == nil {
				continue
			}
			began = time.Now()
			if err := c.undo(); err != nil {
				return fatal("cost: undo %s: %v", c.name, err)
			}
			undone[i] = time.Since(began)
		}
		slices.Sort(took)
		fmt.Println(c.name, took[runs/2].Nanoseconds())
		if c.undo != nil {
			slices.Sort(undone)
			fmt.Println("un"+c.name, undone[runs/2].Nanoseconds())
		}
	}
	return 0
}

// fork makes a child with pages of its own, which ends at once.
func fork() error {
	pid, errno := clone()
	if errno != 0 {
		return errno
	}
	return reap(pid)
}

// clone returns in the parent only. The child makes no call into Go.
//
//go:norace
//go:nosplit
func clone() (pid uintptr, errno syscall.Errno) {
	pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if pid == 0 && errno == 0 {
		for {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return pid, errno
}

// start runs a program to its end.
func start(program string) error {
	pid, err := syscall.ForkExec(program, []string{program, "true"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	if err != nil {
		return err
	}
	return reap(uintptr(pid))
}

func reap(pid uintptr) error {
	for {
		if _, err := syscall.Wait4(int(pid), nil, 0, nil); err != syscall.EINTR {
			return err
		}
	}
}
