// SPDX-License-Identifier: Apache-2.0

package main

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxData is for the largest window and dictionary that package unpack takes,
// 128 MiB, twice, and what Go's heap is in steps of; the output goes to a pipe.
const maxData = 512 << 20

// confine gives up what the helper's rights have no use for here, before a byte
// of the file is read: the bytes are what a decompressor has errors for. What
// cannot be given up, on a kernel or under a policy that has it not, is kept, as
// no load may fail for that.
func confine() {
	limit(unix.RLIMIT_DATA, maxData) // ENOMEM, which ends Go's runtime
	limit(unix.RLIMIT_FSIZE, 0)      // a pipe is no file
	limit(unix.RLIMIT_CORE, 0)

	// Both belong to a thread, and the runtime has some by now.
	_, _, _ = syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	head := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	none := &[2]unix.CapUserData{}
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(none)), 0)
}

// limit only ever lowers a limit.
func limit(which int, value uint64) {
	var now unix.Rlimit
	if unix.Getrlimit(which, &now) != nil {
		return
	}
	_ = unix.Setrlimit(which, &unix.Rlimit{Cur: min(now.Cur, value), Max: min(now.Max, value)})
}
