// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

// Package early spares a program that lives for a few milliseconds what Go's
// packages do at their start.
//
// It imports nothing, so that it is initialised before sync and whatever needs
// sync: packages are initialised in the order of their paths as soon as all
// that they import is (Go specification, Program initialization; since Go 1.21
// for the order of paths). TestEarly of cmd/safeload-modprobe holds it to that.
package early

func init() {
	if files[0] != 0 {
		unlimited()
	}
	deep()
}

// files is RLIMIT_NOFILE, soft and hard, as the process was given it, if the
// entry has lowered it (package entry): 0 if not.
var files [2]uint64

// unlimited sets that limit again: before package syscall looks at it, and
// before anything opens a file.
func unlimited()

// deep has a frame so large that the stack, which begins with 2 KiB, is made 32
// KiB at once, and while there is little on it to be moved. A stack of 4, 8 or 16
// KiB is taken from a list of such, and to make the list each page of 32 KiB is
// written to (runtime.stackpoolalloc); one of 32 KiB stands for itself.
func deep()
