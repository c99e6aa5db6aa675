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
	if len(args) == 1 && args[0] == "files" {
		files()
		return
	}
	if len(args) == 1 && args[0] == "huge" {
		const prGetTHPDisable = 42
		never, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, prGetTHPDisable, 0, 0)
		_, _ = syscall.Write(1, []byte{'0' + byte(never)})
		return
	}
	if len(args) == 1 && args[0] == "status" {
		status()
		return
	}
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

// files prints the limit of descriptors that a child has, and whether this
// program can open one more than the standard ones.
func files() {
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "ulimit -S -n; ulimit -H -n"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	if err == nil {
		_, err = syscall.Wait4(pid, nil, 0, nil)
	}
	if err != nil {
		println(err.Error())
	}
	_, err = syscall.Open("/", syscall.O_RDONLY, 0)
	_, _ = syscall.Write(1, []byte(map[bool]string{true: "true", false: "false"}[err == nil]))
}

// status prints what the kernel says of the program, and the number of the next
// descriptor, which is 3 if no file is open.
func status() {
	fd, err := syscall.Open("/proc/self/status", syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	b := make([]byte, 64<<10)
	n, _ := syscall.Read(fd, b)
	_, _ = syscall.Write(1, b[:n])
	_, _ = syscall.Write(1, append([]byte("next descriptor "), byte('0'+fd), '\n'))
}

func child() {
	pid, err := syscall.ForkExec("/proc/self/exe", []string{"show"}, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
	if err != nil {
		println(err.Error())
		return
	}
	_, _ = syscall.Wait4(pid, nil, 0, nil)
}
