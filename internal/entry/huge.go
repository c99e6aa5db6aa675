// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package entry

import "syscall"

const prSetTHPDisable = 41

// Where huge pages are for all (transparent_hugepage=always, as with Debian's
// kernels of 64 bits), the first byte that the runtime writes to its heap has the
// kernel clear 2 MiB, of which a program of a few milliseconds uses a tenth. Of
// fifty helpers that wait at once, each keeps them. startHelper therefore forbids
// huge pages to the process (prctl(2), PR_SET_THP_DISABLE). Here it has them again,
// as what it starts inherits that: the beginning of the heap is in small pages by
// now, and stays so.
func init() {
	if small != 0 {
		_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTHPDisable, 0, 0)
	}
}
