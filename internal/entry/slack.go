// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package entry

import (
	"runtime"
	"syscall"
)

const prSetTimerSlack = 29

// The runtime's monitor thread wakes every 20 µs at first. On a machine where a
// process as short as this one takes longer than a few of these, most of all
// where one processor has to serve both, the monitor takes the processor (P)
// away from each system call that is not over by then, and the program goes on
// in another thread: on a slow 32-bit ARM machine a quarter to a half of the
// whole CPU time. startHelper therefore lets timers be late (prctl(2),
// PR_SET_TIMERSLACK), which the runtime's threads inherit. Here the main thread
// gets back what it was started with. It alone runs the program, so that no
// wait of the program's and no process that it starts is late.
func init() {
	if added != 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 0, 0)
		runtime.LockOSThread()
	}
}
