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

	_ "safeload/internal/entry" // linked as the entry point by scripts/build.sh
	"safeload/internal/modprobe"
)

func main() { os.Exit(modprobe.Main(modprobe.System(os.Args, os.Environ()))) }
