// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"

	"safeload/finit"
	"safeload/internal/plain"
)

func runUnload(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("unload", flag.ContinueOnError)
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() == 0 {
		return misused("unload", stderr, "no module is named")
	}
	code := exitOK
	for _, name := range fs.Args() {
		if err := finit.Unload(name, finit.NonBlock); err != nil {
			plain.Fprintf(stderr, "safeload: %v\n", err)
			code = exitError
		}
	}
	return code
}
