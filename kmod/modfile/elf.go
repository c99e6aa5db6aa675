// SPDX-License-Identifier: Apache-2.0

// Package modfile reads what a module's file says of itself: its .modinfo, the
// versions of the symbols it uses and exports, its build id and its signature.
//
// It works on the whole file in memory, of any architecture and byte order,
// and trusts nothing in it. Errors are the errno that libkmod gives for the
// same file: ENOEXEC for what is no ELF file, EINVAL for a damaged one,
// ENODATA for a part that is not there.
package modfile

import "syscall"

// File is a module's file in memory, uncompressed.
type File struct {
	data   []byte
	is64   bool
	big    bool
	shoff  uint64
	shnum  uint64
	names  []byte
	parsed map[string]section
}

type section struct {
	offset, size uint64
	header       uint64 // where its header is
}

// The sections that are of interest; of several with one name the first
// counts.
const (
	secKsymtab  = "__ksymtab_strings"
	secModinfo  = ".modinfo"
	secStrtab   = ".strtab"
	secSymtab   = ".symtab"
	secVersions = "__versions"
	secBuildID  = ".note.gnu.build-id"
)

const (
	ehdrSize32, ehdrSize64 = 52, 64
	shdrSize32, shdrSize64 = 40, 64
	symSize32, symSize64   = 16, 24
)

// New looks at the headers of data, which the File goes on to use.
func New(data []byte) (*File, error) {
	if len(data) <= 16 || string(data[:4]) != "\x7fELF" {
		return nil, syscall.ENOEXEC
	}
	f := &File{data: data}
	switch data[4] {
	case 1:
	case 2:
		f.is64 = true
	default:
		return nil, syscall.EINVAL
	}
	switch data[5] {
	case 1:
	case 2:
		f.big = true
	default:
		return nil, syscall.EINVAL
	}
	var shentsize, shstrndx, want uint64
	if f.is64 {
		if len(data) <= ehdrSize64 {
			return nil, syscall.EINVAL
		}
		f.shoff, want = f.u64(0x28), shdrSize64
		shentsize, f.shnum, shstrndx = f.u16(0x3a), f.u16(0x3c), f.u16(0x3e)
	} else {
		if len(data) <= ehdrSize32 {
			return nil, syscall.EINVAL
		}
		f.shoff, want = f.u32(0x20), shdrSize32
		shentsize, f.shnum, shstrndx = f.u16(0x2e), f.u16(0x30), f.u16(0x32)
	}
	if shentsize != want || !f.valid(f.shoff, want*f.shnum) {
		return nil, syscall.EINVAL
	}
	// The table of names names itself, at last.
	s, _, ok := f.section(shstrndx)
	if !ok || s.size == 0 || data[s.offset+s.size-1] != 0 {
		return nil, syscall.EINVAL
	}
	f.names = data[s.offset : s.offset+s.size]
	f.parsed = make(map[string]section, 6)
	for i := uint64(1); i < f.shnum; i++ {
		s, name, ok := f.section(i)
		if !ok {
			continue
		}
		if name >= uint64(len(f.names)) {
			continue
		}
		switch n := cstring(f.names[name:]); n {
		case secKsymtab, secModinfo, secStrtab, secSymtab, secVersions, secBuildID:
			if _, seen := f.parsed[n]; !seen {
				f.parsed[n] = s
			}
		}
	}
	return f, nil
}

// section reads header i; name is the offset of its name.
func (f *File) section(i uint64) (s section, name uint64, ok bool) {
	if i == 0 || i >= f.shnum {
		return s, 0, false
	}
	if f.is64 {
		off := f.shoff + i*shdrSize64
		s = section{f.u64(off + 0x18), f.u64(off + 0x20), off}
		name = f.u32(off)
	} else {
		off := f.shoff + i*shdrSize32
		s = section{f.u32(off + 0x10), f.u32(off + 0x14), off}
		name = f.u32(off)
	}
	return s, name, f.valid(s.offset, s.size)
}

// part returns the contents of a section; ok is false if there is none.
func (f *File) part(name string) (b []byte, ok bool) {
	s := f.parsed[name]
	if s.offset == 0 {
		return nil, false
	}
	return f.data[s.offset : s.offset+s.size], true
}

// Modinfo is the .modinfo of the file, in its data; nil if there is none.
func (f *File) Modinfo() []byte {
	b, _ := f.part(secModinfo)
	return b
}

// Hide takes SHF_ALLOC off a section in the file's data. The kernel does not find
// it then (find_sec in kernel/module/main.c).
func (f *File) Hide(name string) {
	const flags, allocate = 8, 2 // sh_flags, at the same place in both classes; SHF_ALLOC
	s, ok := f.parsed[name]
	if !ok {
		return
	}
	low := s.header + flags
	switch {
	case f.big && f.is64:
		low += 7
	case f.big:
		low += 3
	}
	f.data[low] &^= allocate
}

func (f *File) valid(offset, size uint64) bool {
	return offset+size >= offset && offset+size <= uint64(len(f.data))
}

func (f *File) u16(off uint64) uint64 { return f.uint(f.data[off : off+2]) }
func (f *File) u32(off uint64) uint64 { return f.uint(f.data[off : off+4]) }
func (f *File) u64(off uint64) uint64 { return f.uint(f.data[off : off+8]) }

func (f *File) uint(b []byte) (n uint64) {
	for i := range b {
		if f.big {
			n = n<<8 | uint64(b[i])
		} else {
			n |= uint64(b[i]) << (8 * i)
		}
	}
	return n
}

// cstring is the text up to the first NUL.
func cstring(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
