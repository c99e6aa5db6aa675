// SPDX-License-Identifier: Apache-2.0

package finit

import "golang.org/x/sys/unix"

// Contents returns the contents of a module's file in memory, decompressed if it
// is compressed and l can. Errors are errnos or, from the unpacker, wrap one. The memory is the caller's to unmap.
func (l Loader) Contents(path string) ([]byte, error) {
	fd, err := open(path)
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
