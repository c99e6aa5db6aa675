// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"runtime"

	"safeload/internal/plain"
	"safeload/internal/version"
)

func runVersion(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("version", flag.ContinueOnError)
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return misused("version", stderr, "it takes no argument, not %q", fs.Arg(0))
	}
	plain.Fprintf(stdout, "safeload %s %s/%s %s\n",
		version.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
	return exitOK
}
