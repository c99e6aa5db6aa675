// SPDX-License-Identifier: Apache-2.0

package entry

import (
	"runtime"

	_ "safeload/internal/entry/early" // gives back what startHelper has taken
)

// Before it jumps to the runtime, startHelper spares it work that is of no use
// to a program of a few milliseconds, and of which no setting rids it:
//
//   - runtime.MemProfileRate is 0. The linker sees that nobody reads the profile
//     of memory and has schedinit set that; but the change itself makes the next
//     allocation one to be recorded, by a walk of the stack through five tables
//     and a hash table of its own.
//   - runtime.sigtable has no flags for signals whose handlers would only end the
//     program, as the kernel does without one, or pass over them. Each of 64
//     costs two system calls. Only with the tag safeload_spare: see signals.go.
//   - Until package early is initialised, no descriptors but 0 to 2 can be had
//     (RLIMIT_NOFILE). The runtime then goes without the limit of its cgroup,
//     which it reads from four files of /proc and the cgroup although GOMAXPROCS
//     is set, and keeps open; and without the size of huge pages, from /sys.

// rate is where the entry finds runtime.MemProfileRate.
//
//lint:ignore U1000 startHelper, in assembly, reads it
var rate = &runtime.MemProfileRate

// fewer is the limit of descriptors that startHelper sets.
//
//lint:ignore U1000 startHelper, in assembly, fills it
var fewer [2]uint64

// OwnsSignals tells whether the runtime has taken the signals that end other
// programs, as it does if the entry has not spared it that.
func OwnsSignals() bool { return added == 0 || signals == nil }
