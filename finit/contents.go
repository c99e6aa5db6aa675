// SPDX-License-Identifier: Apache-2.0

package finit

import "golang.org/x/sys/unix"

// Contents returns the contents of a module's file in memory, decompressed if it
// is compressed and an unpacker is set (see [SetUnpacker]). A file too short
// to be told from a compressed one is EINVAL, as in libkmod. Errors are errnos
// or, from the unpacker, wrap one. The memory is the caller's to unmap.
func Contents(path string) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var head [6]byte
	n, err := pread(fd, head[:])
	if err != nil {
		return nil, err
	}
	if n < len(head) {
		return nil, unix.EINVAL
	}
	if format := SniffBytes(head[:]); format != Plain {
		return unpack(fd, format)
	}
	return mapFile(fd)
}
