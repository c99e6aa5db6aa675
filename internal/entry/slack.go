// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package entry

import "syscall"

const (
	prSetTimerSlack = 29
	prGetTimerSlack = 30
)

// The runtime's monitor thread wakes every 20 µs at first. On a machine where a
// process as short as this one takes longer than a few of these, most of all
// where one processor has to serve both, the monitor takes the processor (P)
// away from each system call that is not over by then, and the program goes on
// in another thread: on a slow 32-bit ARM machine a quarter to a half of the
// whole CPU time. startHelper therefore lets timers be late (prctl(2),
// PR_SET_TIMERSLACK), which the runtime's threads inherit. Here the main thread
// gets back what it was started with.
//
// The program may go on in a thread that the monitor has made, which is late by
// up to 5 ms when it sleeps. A process that it starts must not be: see Limited.
// To hold the program to its first thread (runtime.LockOSThread) would have the
// runtime make one more, from which it makes others.
func init() {
	if added != 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 0, 0)
		slack, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prGetTimerSlack, 0, 0)
	}
}

// slack is, in ns, how late the timers of the process were to be when it was
// started; 0 where the entry has not changed it.
var slack uintptr

// punctual gives the calling thread, and so what it starts, the timer slack
// that the process was started with.
func punctual() {
	if slack != 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, slack, 0)
	}
}
