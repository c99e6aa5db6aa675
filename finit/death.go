// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package finit

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A module's init that makes the kernel oops ends the thread that submitted the
// module, not its process (make_task_dead, do_exit). kmod has one thread, and so
// is gone by SIGSEGV; a Go program's other threads would stay for ever, and with
// them the task that asked for the module.
//
// So submit starts a second thread, which waits for the death of the first. When a
// thread ends, the kernel clears a word and wakes the futex on it
// (set_tid_address(2), mm_release). The second thread sleeps on that word. When it
// wakes, it ends the process as the kernel would have ended kmod.
//
// The second thread does not belong to the Go runtime: a thread that died in a
// system call may have left the runtime waiting. It runs a few instructions of
// assembly on its own stack, with all signals blocked.

// witness is what the two threads share.
type witness struct {
	word  uint32 // see the states below
	tid   uint32 // of the second thread; the kernel clears it when it has ended
	taken atomic.Bool
	stack [1024]uint64 // the kernel itself uses none of it: no signal is delivered
}

// States of a witness's word; assembly knows them.
const (
	threadDied = 0 // the kernel's doing
	inCall     = 1
	callEnded  = 2
)

// Usually one load runs at a time. Another one makes its own witness.
var firstWitness witness

// clone starts the second thread, and returns its id or -errno. It needs to be
// called with all signals blocked.
//
//go:noescape
func clone(w *witness, top unsafe.Pointer) int

// watched runs call, and ends the process by SIGSEGV if the calling thread dies in
// it. The calling thread must be locked and have its signals blocked. Where no
// second thread can be made, call runs unwatched.
func watched(call func() error) error {
	w := &firstWitness
	if !w.taken.CompareAndSwap(false, true) {
		w = new(witness)
	}
	// The thread of the load before may be on its way out, on the same stack.
	for {
		tid := atomic.LoadUint32(&w.tid)
		if tid == 0 {
			break
		}
		wait(&w.tid, tid)
	}
	atomic.StoreUint32(&w.word, inCall)
	setTIDAddress(&w.word)
	started := clone(w, unsafe.Pointer(&w.stack[len(w.stack)-2])) > 0
	err := call()
	setTIDAddress(nil)
	atomic.StoreUint32(&w.word, callEnded)
	if started {
		wake(&w.word)
	}
	if w == &firstWitness {
		w.taken.Store(false)
	} else {
		for tid := atomic.LoadUint32(&w.tid); tid != 0; tid = atomic.LoadUint32(&w.tid) {
			wait(&w.tid, tid) // before the memory is somebody else's
		}
	}
	return err
}

func setTIDAddress(word *uint32) {
	_, _, _ = unix.RawSyscall(unix.SYS_SET_TID_ADDRESS, uintptr(unsafe.Pointer(word)), 0, 0)
}

// When a thread ends, the kernel wakes its futex as a shared one. So these calls
// have no FUTEX_PRIVATE_FLAG.
const (
	futexWait = 0
	futexWake = 1
)

func wait(word *uint32, value uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value), 0, 0, 0)
}

func wake(word *uint32) {
	_, _, _ = unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, 1)
}
