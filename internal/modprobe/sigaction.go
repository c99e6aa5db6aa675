// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"
	"unsafe"
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
