// SPDX-License-Identifier: Apache-2.0

package entry

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// A Go program of 64 bits reserves some 700 MB of addresses, and maps 40 MB to
// write to, before main: under a smaller limit (ulimit -v, LimitAS= of a
// systemd unit) its runtime gives up. C kmod does with 4 MB. So the entry takes
// these two limits off, as far as it may: root may, and only root loads
// modules.

// Limited runs start, which starts another program, under the limits of memory
// and in a thread with the timer slack that this one was given.
func Limited(start func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	punctual()
	for i, which := range []int{unix.RLIMIT_AS, unix.RLIMIT_DATA} {
		given := unix.Rlimit{Cur: limits[2*i], Max: limits[2*i+1]}
		var now unix.Rlimit
		if given.Max == 0 || given.Cur == unix.RLIM_INFINITY || unix.Prlimit(0, which, nil, &now) != nil {
			continue
		}
		if unix.Prlimit(0, which, &given, nil) == nil {
			defer unix.Prlimit(0, which, &now, nil)
		}
	}
	start()
}
