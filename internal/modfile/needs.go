// SPDX-License-Identifier: Apache-2.0

package modfile

import (
	"bytes"
	"syscall"
	"unsafe"
)

// Need is a symbol that a module needs from elsewhere.
type Need struct {
	Name []byte // part of the file
	CRC  uint64 // what it was built against, 0 if that is not known
	Weak bool
}

// maxNames bounds what is read of one symbol table, of whose names each counts a
// little more than it is long: a table can say the same long name any number of
// times. Real modules are a hundredth of it.
const (
	maxNames = 64 << 20
	perName  = 32
)

// Needs appends to list the undefined symbols of the module, in the order of
// its symbol table, and then those that only section __versions has, as
// libkmod's kmod_elf_get_dependency_symbols lists them.
func (f *File) Needs(list []Need) ([]Need, error) {
	const entry = 64
	crcSize, size := 4, f.head.SymbolSize()
	if f.head.Wide() {
		crcSize = 8
	}
	versions, _ := f.part(secVersions)
	if len(versions)%entry != 0 {
		versions = nil
	}
	strings, ok := f.part(secStrtab)
	if !ok {
		return list, syscall.EINVAL
	}
	table, ok := f.part(secSymtab)
	if !ok || len(table)%size != 0 {
		return list, syscall.EINVAL
	}
	// The first entry of a name counts.
	known := make(map[string]int, len(versions)/entry)
	seen := make([]bool, len(versions)/entry)
	for i := range seen {
		name := untilNUL(versions[i*entry+crcSize : (i+1)*entry])
		if len(name) == entry-crcSize {
			continue
		}
		if _, twice := known[view(name)]; !twice {
			known[view(name)] = i
		}
	}
	const sparc, sparcV9, register = 2, 43, 13
	machine := f.head.Machine
	start, left := len(list), maxNames
	for at := size; at < len(table); at += size {
		sym := f.head.Symbol(table[at : at+size])
		if sym.Section != 0 || (machine == sparc || machine == sparcV9) && sym.Info&15 == register {
			continue
		}
		if uint64(sym.Name) >= uint64(len(strings)) {
			return list[:start], syscall.EINVAL
		}
		name := untilNUL(strings[sym.Name:])
		if len(name) == 0 {
			continue
		}
		if left -= len(name) + perName; left < 0 {
			return list[:start], syscall.EFBIG
		}
		need := Need{Name: name, Weak: sym.Info>>4 == 2}
		if i, ok := known[view(name)]; ok {
			seen[i] = true
			need.CRC = f.head.Uint(versions[i*entry : i*entry+crcSize])
		}
		list = append(list, need)
	}
	for i, done := range seen {
		if done {
			continue
		}
		name := untilNUL(versions[i*entry+crcSize : (i+1)*entry])
		if len(name) == entry-crcSize {
			return list[:start], syscall.EINVAL
		}
		list = append(list, Need{Name: name, CRC: f.head.Uint(versions[i*entry : i*entry+crcSize])})
	}
	return list, nil
}

func untilNUL(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}

// view is b as a string, for as long as b stays as it is.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
