// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"
	"unsafe"

	"safeload/internal/entry"
)

// sigaction is the kernel's struct of rt_sigaction(2) on arm, arm64 and amd64;
// os/signal would start its own goroutine for the same.
type sigaction struct {
	handler  uintptr
	flags    uintptr // unsigned long
	restorer uintptr
	mask     uint64
}

func rtSigaction(sig int, act, old *sigaction) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}

const (
	sigDfl = 0
	sigIgn = 1
)

func setHandler(sig syscall.Signal, handler uintptr) {
	rtSigaction(int(sig), &sigaction{handler: handler}, nil)
}

// Signals that end a C program, but of which the Go runtime prints where all
// its goroutines are, to exit with 2, or which it passes over. SIGPIPE stays as
// it is: whether it was inherited as ignored cannot be told any more.
var endingSignals = [...]syscall.Signal{
	syscall.SIGQUIT, syscall.SIGABRT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGSTKFLT, syscall.SIGXCPU,
	syscall.SIGXFSZ, syscall.SIGVTALRM, syscall.SIGPROF, syscall.SIGIO, syscall.SIGPWR,
}

// endBySignals lets them end the program. It is called before what may take
// long, and not at the start, which a name that is not found would pay for.
func endBySignals() {
	if !entry.OwnsSignals() {
		return // they do, and one that was inherited as ignored still is
	}
	for _, sig := range endingSignals {
		setHandler(sig, sigDfl)
	}
}
