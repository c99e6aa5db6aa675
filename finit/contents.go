// SPDX-License-Identifier: Apache-2.0

package finit

import "golang.org/x/sys/unix"

// Contents returns the contents of a module's file in memory, decompressed if the
// file is compressed and l has an unpacker. An error is an errno, or wraps one if
// it comes from the unpacker. The caller unmaps the memory.
func (l Loader) Contents(path string) ([]byte, error) {
	fd, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return l.ContentsOf(fd)
}

// ContentsOf is [Loader.Contents] of an open file, whose offset it may move.
func (l Loader) ContentsOf(fd int) ([]byte, error) {
	format, err := Sniff(fd)
	if err != nil {
		return nil, err
	}
	if format != Plain {
		return l.unpack(fd, format)
	}
	return mapFile(fd)
}
