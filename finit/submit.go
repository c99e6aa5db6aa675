// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// submit runs the system call with the thread locked and all its signals
// blocked.
//
// With all signals blocked, what is left to interrupt an interruptible wait
// are job control stops, ptrace and the freezer (kernel/signal.c,
// recalc_sigpending_tsk), none of which means that anybody wants the load to
// end. SIGKILL cannot be blocked; SIGTERM and SIGINT reach another thread
// (kernel/signal.c, complete_signal), where the runtime ends the process.
//
// EINTR is not asked again here: it may be what the module's init has returned,
// which must not run a second time. Who knows the module's state can tell.
func submit(call func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	var all, old unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[0]
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, &old); err != nil {
		return err
	}
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)

	return watched(call)
}
