// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	"safeload/finit"
)

func init() {
	commands = append(commands, command{
		name:    "unload",
		args:    "NAME...",
		summary: "unload modules that nothing uses",
		run:     runUnload,
	})
}

func runUnload(args []string, _, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return usageError("unload", stderr)
	}
	code := exitOK
	for _, name := range args {
		if err := finit.Unload(name, finit.NonBlock); err != nil {
			fmt.Fprintf(stderr, "safeload: %v\n", err)
			code = exitError
		}
	}
	return code
}
