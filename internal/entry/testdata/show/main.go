// SPDX-License-Identifier: Apache-2.0

// Command show prints what it was started with.
package main

import (
	"runtime"

	"safeload/internal/entry"
)

func main() {
	for _, a := range entry.Args()[1:] {
		println("arg", a)
	}
	for _, e := range entry.Environ() {
		println("env", e)
	}
	println("procs", runtime.GOMAXPROCS(0))
}
