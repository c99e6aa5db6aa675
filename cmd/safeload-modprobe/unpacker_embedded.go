// SPDX-License-Identifier: Apache-2.0

//go:build safeload_embed

package main

import (
	"safeload/finit"
	"safeload/finit/unpackexec"
	"safeload/finit/unpackfork"
)

// unpacker decompresses in a fork of the helper. Where that cannot be, and for what the
// fork leaves (finit/unpackfork), it runs program, which is cmd/safeload-unpack as a constant: a
// file that scripts/build.sh writes. Package embed would draw in io/fs, and both are
// initialised at each start. Pages of the helper's file that nobody reads cost
// nothing.
func unpacker(fd int, format finit.Format) ([]byte, error) {
	if image, err := unpackfork.Run(fd, format); err != unpackfork.ErrCannot {
		return image, err
	}
	return unpackexec.Run(program, fd, format)
}
