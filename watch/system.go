// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// giveUpAdmin gives CAP_SYS_ADMIN up in all threads. To attach needs it, where
// perf_event_paranoid is 3 (Debian's kernels take CAP_PERFMON for nothing then)
// or before Linux 5.8, and to mount what nobody has; to watch does not. What
// cannot be given up is kept.
func giveUpAdmin() {
	const bit = 1 << unix.CAP_SYS_ADMIN
	head := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if unix.Capget(head, &sets[0]) != nil || sets[0].Permitted&bit == 0 {
		return
	}
	sets[0].Effective &^= bit
	sets[0].Permitted &^= bit
	sets[0].Inheritable &^= bit
	_, _, _ = syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(&sets)), 0)
}
