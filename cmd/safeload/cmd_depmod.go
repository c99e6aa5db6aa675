// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"safeload/depmod"
	"safeload/internal/version"
)

func init() {
	commands = append(commands, command{
		name: "depmod", args: "[OPTION...] [VERSION [FILE...]]", summary: "depmod(8) of kmod, by all CPUs",
		applet: true,
		run: func(args []string, stdout, _ io.Writer) int {
			return depmod.Main(depmod.Env{
				Args:    append([]string{"depmod"}, args...),
				Environ: os.Environ(),
				Stdout:  stdout,
				// As of the other programs: tools read the first line.
				Version: "kmod version 34\n+ZSTD +XZ +ZLIB -OPENSSL\nsafeload " + version.Version + "\n",
			})
		},
	})
}
