// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"safeload/internal/modprobe"
)

func init() {
	commands = append(commands, command{
		name:    "modprobe",
		args:    "[OPTION...] NAME [param=value...]",
		summary: "modprobe(8) of kmod, with the guard",
		applet:  true,
		run: func(args []string, _, _ io.Writer) int {
			return modprobe.Main(modprobe.System(append([]string{"modprobe"}, args...), os.Environ()))
		},
	})
}
