// SPDX-License-Identifier: Apache-2.0

// Command show prints what it was started with.
package main

import (
	"runtime"
	"syscall"

	"safeload/internal/entry"
)

func main() {
	args := entry.Args()[1:]
	for _, a := range args {
		println("arg", a)
	}
	for _, e := range entry.Environ() {
		println("env", e)
	}
	const prGetTimerSlack = 30
	slack, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	println("slack", slack)
	if len(args) == 1 && args[0] == "late" {
		// As in a thread that the runtime's monitor has made.
		runtime.LockOSThread()
		const prSetTimerSlack = 29
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 7000000, 0)
		entry.Limited(func() { child() })
		return
	}
	if len(args) == 1 && args[0] == "child" {
		child()
		return
	}
	println("procs", runtime.GOMAXPROCS(0))
	if len(entry.Args()) == 2 && entry.Args()[1] == "limits" {
		entry.Limited(func() {
			pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "ulimit -S -v; ulimit -H -v; ulimit -S -d; ulimit -H -d"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
			if err != nil {
				panic(err)
			}
			syscall.Wait4(pid, nil, 0, nil)
		})
		_ = make([]byte, 64<<20) // as much as it likes, once more
	}
}

func child() {
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"show"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	if err != nil {
		println(err.Error())
		return
	}
	_, _ = syscall.Wait4(pid, nil, 0, nil)
}
