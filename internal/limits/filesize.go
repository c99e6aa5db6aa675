// SPDX-License-Identifier: Apache-2.0

// Package limits lifts those of the process's own limits that kmod, which does less, does not run into.
package limits

import (
	"sync"

	"golang.org/x/sys/unix"
)

// lifted is what RLIMIT_FSIZE was before it was lifted.
var lifted struct {
	sync.Mutex
	given unix.Rlimit
	is    bool
}

// FileSize makes sure that a file may get as long as this, which RLIMIT_FSIZE may forbid: a write past it ends the process by
// SIGXFSZ (generic_write_check_limits and inode_newsize_ok in the kernel; devices, pipes and sysfs have no such limit). What
// kmod does not write must not end a load that kmod's would survive. The limit is lifted as far as it may be: beyond the hard
// limit with CAP_SYS_RESOURCE. EFBIG: not far enough.
func FileSize(bytes int64) error {
	var l unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_FSIZE, nil, &l) != nil || uint64(bytes) <= l.Cur {
		return nil
	}
	lifted.Lock()
	defer lifted.Unlock()
	for _, more := range [...]unix.Rlimit{{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, {Cur: l.Max, Max: l.Max}} {
		if uint64(bytes) > more.Cur || unix.Prlimit(0, unix.RLIMIT_FSIZE, &more, nil) != nil {
			continue
		}
		if !lifted.is {
			lifted.given, lifted.is = l, true
		}
		return nil
	}
	return unix.EFBIG
}

// Limit is one of the process's limits, as it was given.
type Limit struct {
	Which int // RLIMIT_…
	Given unix.Rlimit
}

// Given runs start, which starts another program, under the limits that this one was given: others, and the one that FileSize
// has lifted. One that cannot be set stays as it is.
func Given(start func(), others ...Limit) {
	lifted.Lock()
	defer lifted.Unlock()
	if lifted.is {
		others = append(others, Limit{unix.RLIMIT_FSIZE, lifted.given})
	}
	for i := range others {
		l := &others[i]
		var now unix.Rlimit
		if unix.Prlimit(0, l.Which, &l.Given, &now) == nil {
			defer unix.Prlimit(0, l.Which, &now, nil)
		}
	}
	start()
}
