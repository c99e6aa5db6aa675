// SPDX-License-Identifier: Apache-2.0

//go:build safeload_embed

package main

import (
	_ "embed"

	"safeload/finit"
	"safeload/finit/unpackexec"
)

// scripts/build.sh puts cmd/safeload-unpack there. Pages of the helper's file
// that nobody reads cost nothing.
//
//go:embed unpacker/safeload-unpack
var program []byte

func unpacker(fd int, format finit.Format) ([]byte, error) {
	return unpackexec.Run(program, fd, format)
}
