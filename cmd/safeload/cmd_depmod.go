// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"

	"safeload/depmod"
	"safeload/internal/version"
)

// kmodVersion is what `kmod --version` prints; tools read its first line.
var kmodVersion = "kmod version 34\n+ZSTD +XZ +ZLIB -OPENSSL\nsafeload " + version.Version + "\n"

func runDepmod(args []string, stdout, _ io.Writer) int {
	return depmod.Main(depmod.Env{
		Args:    append([]string{"depmod"}, args...),
		Environ: os.Environ(),
		Stdout:  stdout,
		Version: kmodVersion,
	})
}
