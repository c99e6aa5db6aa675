// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// ImageName finds the module's name in the ELF image that a task gave to
// init_module(2), by reading that task's memory (/proc/PID/mem, needs
// PTRACE_MODE_ATTACH). The image is the task's: the name is a claim.
func (f *FS) ImageName(pid int, addr, size uint64) (string, bool) {
	fd, err := openat(f.fd, Itoa(pid)+"/mem", unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	return elfName(func(b []byte, off uint64) bool {
		if off > size || uint64(len(b)) > size-off || addr+off > 1<<63-1 {
			return false
		}
		return preadFull(fd, b, int64(addr+off))
	})
}

// Params reads the parameters that a task gave to finit_module(2) or
// init_module(2), from its memory: at most 1023 bytes, and as much of it as is
// still there, for the kernel has a copy of its own.
func (f *FS) Params(pid int, c *Call) (string, bool) {
	var addr uint64
	switch c.Kind() {
	case FinitModule:
		addr = c.Args[1]
	case InitModule:
		addr = c.Args[2]
	}
	if addr == 0 || addr > 1<<63-1 {
		return "", false
	}
	fd, err := openat(f.fd, Itoa(pid)+"/mem", unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return "", false
	}
	defer unix.Close(fd)
	var b [1023]byte
	n, err := unix.Pread(fd, b[:], int64(addr))
	if err != nil || n <= 0 {
		return "", false
	}
	text, _, _ := bytes.Cut(b[:n], []byte{0})
	return string(text), true
}

// FileName finds the module's name in the file open as a task's descriptor. A
// compressed file has none to read.
func (f *FS) FileName(pid, fd int) (string, bool) {
	h, _, err := f.OpenFile(pid, fd)
	if err != nil {
		return "", false
	}
	defer unix.Close(h)
	return elfName(func(b []byte, off uint64) bool {
		return off < 1<<62 && preadFull(h, b, int64(off))
	})
}

func preadFull(fd int, b []byte, off int64) bool {
	for len(b) > 0 {
		n, err := unix.Pread(fd, b, off)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return false
		}
		b, off = b[n:], off+int64(n)
	}
	return true
}

// elfName reads "name=" of the section .modinfo, which modpost puts into every
// module since Linux 4.12 (3e2e857f9c3a).
func elfName(read func(b []byte, off uint64) bool) (string, bool) {
	var h [64]byte
	if !read(h[:52], 0) || string(h[:4]) != "\x7fELF" || h[5] != 1 {
		return "", false // all of the architectures here are little-endian
	}
	wide := h[4] == 2
	if wide && !read(h[:], 0) {
		return "", false
	}
	num := func(b []byte, n int) uint64 { return little(b[:n]) }
	var shoff, entsize, count, strndx uint64
	if wide {
		shoff, entsize, count, strndx = num(h[40:], 8), num(h[58:], 2), num(h[60:], 2), num(h[62:], 2)
	} else {
		shoff, entsize, count, strndx = num(h[32:], 4), num(h[46:], 2), num(h[48:], 2), num(h[50:], 2)
	}
	least := uint64(40)
	if wide {
		least = 64
	}
	if entsize < least || entsize > 256 || count == 0 || count > 2048 || strndx >= count || shoff > 1<<40 {
		return "", false
	}
	table := make([]byte, entsize*count)
	if !read(table, shoff) {
		return "", false
	}
	section := func(i uint64) (name, off, size uint64) {
		s := table[i*entsize:]
		if wide {
			return num(s, 4), num(s[24:], 8), num(s[32:], 8)
		}
		return num(s, 4), num(s[16:], 4), num(s[20:], 4)
	}
	load := func(i uint64) []byte {
		_, off, size := section(i)
		if size == 0 || size > 256<<10 || off > 1<<40 {
			return nil
		}
		b := make([]byte, size)
		if !read(b, off) {
			return nil
		}
		return b
	}
	names := load(strndx)
	for i := range count {
		at, _, _ := section(i)
		if at >= uint64(len(names)) || !bytes.HasPrefix(names[at:], []byte(".modinfo\x00")) {
			continue
		}
		info := load(i)
		for len(info) > 0 {
			var item []byte
			if n := indexByte(info, 0); n >= 0 {
				item, info = info[:n], info[n+1:]
			} else {
				item, info = info, nil
			}
			if v, ok := bytes.CutPrefix(item, []byte("name=")); ok && validModule(string(v)) {
				return ModuleName(string(v)), true
			}
		}
	}
	return "", false
}

// ModuleName makes the kernel's spelling of a module's name from a file's
// path: the last element up to ".ko", with '_' for '-'.
func ModuleName(path string) string {
	b := []byte(path)
	if i := bytes.LastIndexByte(b, '/'); i >= 0 {
		b = b[i+1:]
	}
	b = bytes.TrimSuffix(b, []byte(" (deleted)"))
	if i := bytes.LastIndex(b, []byte(".ko")); i > 0 {
		b = b[:i]
	}
	for i, c := range b {
		if c == '-' {
			b[i] = '_'
		}
	}
	return string(b)
}
