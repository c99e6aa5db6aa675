// SPDX-License-Identifier: Apache-2.0

// Package modfile reads what a module's file says of itself: its .modinfo, the
// versions of the symbols it uses and exports, its build id and its signature.
//
// It works on the whole file in memory, of any architecture and byte order,
// and trusts nothing in it. Errors are the errno that libkmod gives for the
// same file: ENOEXEC for what is no ELF file, EINVAL for a damaged one,
// ENODATA for a part that is not there.
package modfile

import (
	"slices"
	"syscall"

	"safeload/internal/elfhead"
)

// File is a module's file in memory, uncompressed.
type File struct {
	data   []byte
	head   elfhead.Header
	names  []byte
	parsed [len(sections)]section
}

type section struct {
	offset, size uint64
	header       uint64 // where its header is; 0 if there is none
}

// The sections that are of interest; of several with one name the first
// counts.
const (
	secKsymtab = iota
	secModinfo
	secStrtab
	secSymtab
	secVersions
	secBuildID
)

var sections = [...]string{"__ksymtab_strings", ".modinfo", ".strtab", ".symtab", "__versions", ".note.gnu.build-id"}

// New looks at the headers of data, which the File goes on to use.
func New(data []byte) (*File, error) {
	if len(data) <= 16 || string(data[:4]) != elfhead.Magic {
		return nil, syscall.ENOEXEC
	}
	f := &File{data: data}
	f.head, _ = elfhead.Read(data)
	whole := elfhead.Size32
	if f.head.Wide() {
		whole = elfhead.Size64
	}
	t := f.head.Sections
	if !f.head.Known() || len(data) <= whole || t.Each != f.head.SectionSize() || !f.valid(t.At, t.Each*t.Count) {
		return nil, syscall.EINVAL
	}
	// The table of names names itself, at last.
	s, _, ok := f.section(f.head.Names)
	if !ok || s.size == 0 || data[s.offset+s.size-1] != 0 {
		return nil, syscall.EINVAL
	}
	f.names = data[s.offset : s.offset+s.size]
	for i := uint64(1); i < t.Count; i++ {
		s, name, ok := f.section(i)
		if !ok {
			continue
		}
		if name >= uint64(len(f.names)) {
			continue
		}
		for k, n := range sections {
			if b := f.names[name:]; len(b) > len(n) && b[len(n)] == 0 && string(b[:len(n)]) == n {
				if f.parsed[k].header == 0 {
					f.parsed[k] = s
				}
				break
			}
		}
	}
	return f, nil
}

// section reads header i; name is the offset of its name.
func (f *File) section(i uint64) (s section, name uint64, ok bool) {
	t := f.head.Sections
	if i == 0 || i >= t.Count {
		return s, 0, false
	}
	at := t.At + i*t.Each
	h := f.head.Section(f.data[at:])
	s = section{h.Offset, h.Size, at}
	return s, uint64(h.Name), f.valid(s.offset, s.size)
}

// part returns the contents of a section; ok is false if there is none.
func (f *File) part(kind int) (b []byte, ok bool) {
	s := f.parsed[kind]
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
	i := slices.Index(sections[:], name)
	if i < 0 || f.parsed[i].header == 0 {
		return
	}
	low := f.parsed[i].header + flags
	switch {
	case f.head.Big() && f.head.Wide():
		low += 7
	case f.head.Big():
		low += 3
	}
	f.data[low] &^= allocate
}

func (f *File) valid(offset, size uint64) bool {
	return offset+size >= offset && offset+size <= uint64(len(f.data))
}

// cstring is the text up to the first NUL.
func cstring(b []byte) string { return string(untilNUL(b)) }
