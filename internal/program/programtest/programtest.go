// SPDX-License-Identifier: Apache-2.0

// Package programtest makes files for tests that look like programs.
package programtest

import (
	"debug/elf"
	"encoding/binary"
)

// ELF is a program of that machine with nothing in it, that names a dynamic
// loader unless interp is empty; cut short by so many bytes.
func ELF(m elf.Machine, interp string, short int) string {
	wide := m == elf.EM_X86_64 || m == elf.EM_AARCH64
	head, each := 52, 32
	if wide {
		head, each = 64, 56
	}
	count := 1
	if interp != "" {
		interp += "\x00"
		count = 2
	}
	size := head + 2*each + len(interp)
	b := make([]byte, size)
	copy(b, "\x7fELF\x01\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], uint16(elf.ET_EXEC))
	le.PutUint16(b[18:], uint16(m))
	le.PutUint32(b[20:], 1)
	at := 28
	if wide {
		b[elf.EI_CLASS] = byte(elf.ELFCLASS64)
		le.PutUint64(b[32:], uint64(head))
		at = 40
	} else {
		le.PutUint32(b[28:], uint32(head))
	}
	le.PutUint16(b[at+12:], uint16(head))
	le.PutUint16(b[at+14:], uint16(each))
	le.PutUint16(b[at+16:], uint16(count))
	header := func(i int, kind elf.ProgType, off, length int) {
		h := b[head+i*each:]
		le.PutUint32(h, uint32(kind))
		if wide {
			le.PutUint64(h[8:], uint64(off))
			le.PutUint64(h[32:], uint64(length))
		} else {
			le.PutUint32(h[4:], uint32(off))
			le.PutUint32(h[16:], uint32(length))
		}
	}
	header(0, elf.PT_LOAD, 0, size)
	if interp != "" {
		header(1, elf.PT_INTERP, size-len(interp), len(interp))
		copy(b[size-len(interp):], interp)
	}
	return string(b[:size-short])
}
