// SPDX-License-Identifier: Apache-2.0

//go:build safeload_embed

package main

import (
	"safeload/finit"
	"safeload/finit/unpackexec"
)

// unpacker runs program, which is cmd/safeload-unpack as a constant: a file that
// scripts/build.sh writes. Package embed would draw in io/fs, and both are
// initialised at each start. Pages of the helper's file that nobody reads cost
// nothing.
func unpacker(fd int, format finit.Format) ([]byte, error) {
	return unpackexec.Run(program, fd, format)
}
