// SPDX-License-Identifier: Apache-2.0

// Command safeload-unpack decompresses a kernel module from standard input to
// standard output: safeload-unpack gzip|xz|zstd. It travels inside of
// safeload-modprobe, which runs it for a compressed module that the kernel
// does not decompress: the decompressors (and fmt, log and crypto below them)
// linked into the helper would cost each of its starts a fifth of its time.
package main

import (
	"errors"
	"os"

	"safeload/finit"
	"safeload/finit/unpack"
	_ "safeload/internal/entry" // linked as the entry point by scripts/build.sh
)

// Exit codes, for package unpackexec. A finit.Damage is added to the last.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2
	exitTooBig  = 3
	exitDamaged = 10
)

func main() {
	confine()
	os.Exit(run(os.Args))
}

func run(argv []string) int {
	if len(argv) != 2 {
		return exitUsage
	}
	for _, format := range []finit.Format{finit.Gzip, finit.XZ, finit.Zstd} {
		if format.String() != argv[1] {
			continue
		}
		err := unpack.Copy(os.Stdout, os.Stdin, format, finit.MaxImage)
		switch {
		case err == nil:
			return exitOK
		case errors.Is(err, unpack.ErrTooBig):
			return exitTooBig
		}
		if d, ok := errors.AsType[finit.Damage](err); ok {
			return exitDamaged + int(d)
		}
		return exitFailed
	}
	return exitUsage
}
