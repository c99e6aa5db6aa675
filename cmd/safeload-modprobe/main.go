// SPDX-License-Identifier: Apache-2.0

// Command safeload-modprobe is modprobe(8) for the kernel to call: the program
// to name in /proc/sys/kernel/modprobe or to install as /sbin/modprobe.
//
// It is the modprobe of the safeload program without anything else, because
// the kernel starts it hundreds of times during boot. What it links is checked
// by a test (deps_test.go); how it starts where there is nothing is explained
// in internal/entry.
package main

import (
	"os"

	"golang.org/x/sys/unix"

	_ "safeload/internal/entry" // linked as the entry point by scripts/build.sh
)

func main() { os.Exit(run()) }

func run() int {
	unix.Write(2, []byte("modprobe: FATAL: this build resolves no module names\n"))
	return 1
}
