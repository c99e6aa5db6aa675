// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package entry

// start is never called from Go: it is an ELF entry point, in assembly.
//
//lint:ignore U1000 the linker's -E names it
func start()

// startHelper is start for a program that lives for a few milliseconds. It
// adds single to the environment: the runtime then starts with one processor
// and fewer threads, for about a tenth of such a program's CPU time. The
// runtime reads GOMAXPROCS before any Go code runs, and nowhere else can it be
// preset. One that the user set comes first and counts. And it lets timers be
// late, until the package's init: see there.
//
//lint:ignore U1000 the linker's -E names it
func startHelper()

// added is how many strings startHelper has put at the end of the environment.
var added uint8

// small is 1 if startHelper has told the kernel to give this process no huge
// pages; see huge.go. On 32-bit ARM it never is: Debian's kernels have none.
var small uint8

// limits are RLIMIT_AS and RLIMIT_DATA, soft and hard, as the process was
// given them and before the entry raised them; 0 when it could not, and on 32
// bits, where it does not.
var limits [4]uint64
