// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"

	"safeload/internal/version"
)

func init() {
	commands = append(commands, command{
		name:    "version",
		summary: "print the version",
		run: func(_ []string, stdout, _ io.Writer) int {
			fmt.Fprintf(stdout, "safeload %s %s/%s %s\n",
				version.Version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return exitOK
		},
	})
}
