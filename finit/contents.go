// SPDX-License-Identifier: Apache-2.0

package finit

import "golang.org/x/sys/unix"

// Contents returns the contents of a module's file in memory, decompressed if it
// is compressed and an unpacker is set (see [SetUnpacker]). Errors are errnos
// or, from the unpacker, wrap one. The memory is the caller's to unmap.
func Contents(path string) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return ContentsOf(fd)
}

// ContentsOf is [Contents] of an open file, whose offset it may move.
func ContentsOf(fd int) ([]byte, error) {
	format, err := Sniff(fd)
	if err != nil {
		return nil, err
	}
	if format != Plain {
		return unpack(fd, format)
	}
	return mapFile(fd)
}
