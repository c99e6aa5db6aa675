// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"
	"strconv"
)

// Call is the system call that a thread is in.
type Call struct {
	NR   int64 // -1: in none; as seen from the thread's own architecture
	Args [6]uint64
	SP   uint64 // above 4 GiB only for a task of 64 bits
	bits uint8  // of the process, where the stack pointer does not tell; 0: not asked
}

// Syscall reads /proc/PID/task/TID/syscall. False when the thread runs, or
// nothing is known: needs the right to trace it (PTRACE_MODE_ATTACH).
func (f *FS) Syscall(pid, tid int) (Call, bool) {
	b, err := f.readOf(pid, ownPath(pid, tid, "syscall"))
	if err != nil {
		return Call{NR: -1}, false
	}
	c, ok := parseSyscall(b)
	if ok && c.NR >= 0 && c.SP <= 1<<32-1 && strconv.IntSize == 64 {
		c.bits = f.bits(pid)
	}
	return c, ok
}

// bits tells a process of 64 bits from one of 32 by what the kernel gave it at
// its start, 1 if that does not tell. A thread of 64 bits may have its stack
// below 4 GiB (MAP_32BIT, or a place of its choice), and what the numbers of its
// calls mean is another matter for each: poll(2) of the one is waitpid(2) of the
// other.
func (f *FS) bits(pid int) uint8 {
	b, err := f.readOf(pid, Itoa(pid)+"/auxv")
	if err != nil {
		return 1
	}
	return parseBits(b)
}

// parseBits finds AT_PHENT in the auxiliary vector (create_elf_tables in
// fs/binfmt_elf.c), whose words are those of the process: the size of a program
// header.
func parseBits(auxv []byte) uint8 {
	const phent = 4
	for b := auxv; len(b) >= 16; b = b[16:] {
		if little(b[:8]) == phent && little(b[8:16]) == 56 {
			return 64
		}
	}
	for b := auxv; len(b) >= 8; b = b[8:] {
		if little(b[:4]) == phent && little(b[4:8]) == 32 {
			return 32
		}
	}
	return 1
}

// little is a number with its lowest byte first, as on all the architectures
// here. encoding/binary would be linked into the helper.
func little(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

func parseSyscall(b []byte) (c Call, ok bool) {
	c.NR = -1
	b = bytes.TrimRight(b, "\n")
	word, rest := field(b)
	if string(word) == "running" || len(word) == 0 {
		return c, false
	}
	if word[0] == '-' {
		return c, true
	}
	nr, ok := Uint(word)
	if !ok || nr > 1<<31 {
		return c, false
	}
	for i := range c.Args {
		word, rest = field(rest)
		if c.Args[i], ok = Hex(word); !ok {
			return c, false
		}
	}
	word, _ = field(rest)
	if c.SP, ok = Hex(word); !ok {
		return c, false
	}
	c.NR = int64(nr)
	return c, true
}
