// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"

	"golang.org/x/sys/unix"

	"safeload/internal/elfhead"
)

// ImageName finds the module's name in the ELF image that a task gave to
// init_module(2), by reading that task's memory (/proc/PID/mem, needs
// PTRACE_MODE_ATTACH). The image is the task's: the name is a claim.
func (f *FS) ImageName(pid int, addr, size uint64) (string, bool) {
	if !f.enter(pid) {
		return "", false
	}
	defer f.leave()
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
	if !f.enter(pid) {
		return "", false
	}
	defer f.leave()
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

// NameIn finds the module's name in an open file. A compressed file has none to
// read.
func NameIn(fd int) (string, bool) {
	return elfName(func(b []byte, off uint64) bool {
		return off < 1<<62 && preadFull(fd, b, int64(off))
	})
}

// NameOf finds the module's name in an image in memory.
func NameOf(image []byte) (string, bool) {
	return elfName(func(b []byte, off uint64) bool {
		return off <= uint64(len(image)) && copy(b, image[off:]) == len(b)
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

// elfName reads the name by which the kernel will know the module of an image:
// that of the struct module in section .gnu.linkonce.this_module, which
// load_module goes by, whatever the file is called. Nothing in it is believed:
// sizes are bounded, and a name that is none is not taken. Where the structure
// is laid out otherwise (CONFIG_RANDSTRUCT), "name=" of the section .modinfo
// says the same; modpost writes it since Linux 4.12 (3e2e857f9c3a).
func elfName(read func(b []byte, off uint64) bool) (string, bool) {
	var e elf
	if !e.open(read) {
		return "", false
	}
	if name, ok := e.thisModule(); ok {
		return name, true
	}
	return e.modinfo()
}

// elf is the table of sections of an image.
type elf struct {
	elfhead.Header
	read  func(b []byte, off uint64) bool
	table []byte
	names []byte
}

func (e *elf) open(read func(b []byte, off uint64) bool) bool {
	e.read = read
	var h [elfhead.Size64]byte
	if !read(h[:elfhead.Size32], 0) {
		return false
	}
	var ok bool
	if e.Header, ok = elfhead.Read(h[:]); !ok || e.Order != 1 {
		return false // all of the architectures here are little-endian
	}
	if e.Wide() {
		if !read(h[elfhead.Size32:], elfhead.Size32) {
			return false
		}
		e.Header, _ = elfhead.Read(h[:])
	}
	t := e.Sections
	if t.Each < e.SectionSize() || t.Each > 256 || t.Count == 0 || t.Count > 2048 || e.Names >= t.Count || t.At > 1<<40 {
		return false
	}
	e.table = make([]byte, t.Each*t.Count)
	if !read(e.table, t.At) {
		return false
	}
	names := e.section(e.Names)
	e.names = e.bytes(names.Offset, names.Size)
	return e.names != nil
}

func (e *elf) section(i uint64) elfhead.Section {
	return e.Section(e.table[i*e.Sections.Each:])
}

// find returns the first section of that name, as the kernel's find_sec does.
func (e *elf) find(want string) (off, size uint64, ok bool) {
	for i := uint64(1); i < e.Sections.Count; i++ {
		s := e.section(i)
		if name := uint64(s.Name); name < uint64(len(e.names)) && bytes.HasPrefix(e.names[name:], []byte(want)) &&
			name+uint64(len(want)) < uint64(len(e.names)) && e.names[name+uint64(len(want))] == 0 {
			return s.Offset, s.Size, s.Offset <= 1<<40
		}
	}
	return 0, 0, false
}

func (e *elf) bytes(off, size uint64) []byte {
	if size == 0 || size > 256<<10 || off > 1<<40 {
		return nil
	}
	b := make([]byte, size)
	if !e.read(b, off) {
		return nil
	}
	return b
}

// thisModule reads the name behind the first two members of struct module, an
// enum and a list_head, where it has been since 2.6: MODULE_NAME_LEN bytes, 64
// less a long.
func (e *elf) thisModule() (string, bool) {
	at, length := uint64(4+8), uint64(64-4)
	if e.Wide() {
		at, length = 8+16, 64-8
	}
	off, size, ok := e.find(".gnu.linkonce.this_module")
	if !ok || size < at+length {
		return "", false
	}
	b := e.bytes(off+at, length)
	n := bytes.IndexByte(b, 0)
	if n <= 0 || !validModule(string(b[:n])) || !printable(b[:n]) {
		return "", false
	}
	return string(b[:n]), true
}

func (e *elf) modinfo() (string, bool) {
	off, size, ok := e.find(".modinfo")
	if !ok {
		return "", false
	}
	info := e.bytes(off, size)
	for len(info) > 0 {
		var item []byte
		if n := bytes.IndexByte(info, 0); n >= 0 {
			item, info = info[:n], info[n+1:]
		} else {
			item, info = info, nil
		}
		if v, ok := bytes.CutPrefix(item, []byte("name=")); ok && validModule(string(v)) && printable(v) {
			return string(v), true
		}
	}
	return "", false
}

func printable(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
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
