// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package entry

// start is never called from Go: it is an ELF entry point, in assembly.
//
//lint:ignore U1000 the linker's -E names it
func start()
