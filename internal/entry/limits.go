// SPDX-License-Identifier: Apache-2.0

package entry

import (
	"runtime"

	"golang.org/x/sys/unix"

	lift "safeload/internal/limits"
)

// A Go program of 64 bits reserves some 700 MB of addresses, and maps 40 MB to
// write to, before main: under a smaller limit (ulimit -v, LimitAS= of a
// systemd unit) its runtime gives up. C kmod does with 4 MB. So the entry takes
// these two limits off, as far as it may: root may, and only root loads
// modules.

// Limited runs start, which starts another program, under the limits that this one
// was given and in a thread with the timer slack that it was.
func Limited(start func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	punctual()
	var lifted []lift.Limit
	for i, which := range [...]int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		given := unix.Rlimit{Cur: limits[2*i], Max: limits[2*i+1]}
		if given.Max != 0 && given.Cur != unix.RLIM_INFINITY {
			lifted = append(lifted, lift.Limit{Which: which, Given: given})
		}
	}
	lift.Given(start, lifted...)
}
