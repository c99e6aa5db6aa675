// SPDX-License-Identifier: Apache-2.0

// Command safeload-modprobe is modprobe(8) for the kernel to call: the program
// to name in /proc/sys/kernel/modprobe or to install as /sbin/modprobe.
//
// It is the modprobe of the safeload program without anything else, because
// the kernel starts it hundreds of times during boot. What it links is checked
// by a test (deps_test.go); how it starts where there is nothing is explained
// in internal/entry, how it decompresses modules in unpacker_*.go.
package main

import (
	"syscall"

	"safeload/internal/entry"
	_ "safeload/internal/helper" // the entry points, if linked by scripts/build.sh
	"safeload/internal/modprobe"
)

func main() {
	syscall.Exit(modprobe.Main(modprobe.Running(entry.Args(), entry.Environ(), unpacker)))
}
