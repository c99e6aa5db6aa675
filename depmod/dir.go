// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"encoding/binary"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// entry is one of a directory.
type entry struct {
	name string
	kind byte // unix.DT_REG and the like
}

// buffers are for reading directories, one for each level of them.
type buffers [][]byte

// entries reads an open directory, at that level below the first. Package os
// would allocate for each entry, and look at those whose kind the file system
// does not say.
func (b *buffers) entries(d *os.File, level int) iter.Seq[entry] {
	for len(*b) <= level {
		*b = append(*b, make([]byte, 16<<10))
	}
	buf := (*b)[level]
	return func(yield func(entry) bool) {
		for {
			n, err := unix.Getdents(int(d.Fd()), buf)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				return
			}
			for rest := buf[:n]; len(rest) > 0; {
				const size, kind, name = 16, 18, 19 // struct linux_dirent64
				e := rest[:binary.NativeEndian.Uint16(rest[size:])]
				rest = rest[len(e):]
				s := unix.ByteSliceToString(e[name:])
				if s == "." || s == ".." {
					continue
				}
				if !yield(entry{s, e[kind]}) {
					return
				}
			}
		}
	}
}
