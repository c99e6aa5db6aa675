// SPDX-License-Identifier: Apache-2.0

package modfile

import (
	"bytes"
	"syscall"
)

// Symbol is a symbol with the checksum of its type.
type Symbol struct {
	CRC  uint64
	Name string
}

// Modversions are the symbols that the module uses, as section __versions of a
// kernel with CONFIG_MODVERSIONS lists them.
func (f *File) Modversions() (list []Symbol, err error) {
	b, ok := f.part(secVersions)
	if !ok {
		return nil, syscall.ENODATA
	}
	crcSize := 4
	if f.head.Wide() {
		crcSize = 8
	}
	const entry = 64
	if len(b)%entry != 0 {
		return nil, syscall.EINVAL
	}
	for ; len(b) > 0; b = b[entry:] {
		name := cstring(b[crcSize:entry])
		if len(name) == entry-crcSize {
			return nil, syscall.EINVAL
		}
		if name != "" && name[0] == '.' {
			name = name[1:]
		}
		list = append(list, Symbol{f.head.Uint(b[:crcSize]), name})
	}
	return list, nil
}

// Exports are the symbols that the module exports: those of its symbol table
// whose checksums have names, or else the names alone.
func (f *File) Exports() ([]Symbol, error) {
	if list := f.crcSymbols(); len(list) > 0 {
		return list, nil
	}
	b, ok := f.part(secKsymtab)
	if !ok {
		return nil, syscall.ENODATA
	}
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) <= 1 {
		return nil, nil
	}
	if b[len(b)-1] != 0 {
		return nil, syscall.EINVAL
	}
	var list []Symbol
	for len(b) > 0 {
		name := cstring(b)
		if name != "" {
			list = append(list, Symbol{0, name})
		}
		b = b[len(name)+1:]
	}
	return list, nil
}

// crcSymbols finds the symbols called __crc_NAME.
func (f *File) crcSymbols() (list []Symbol) {
	strings, ok := f.part(secStrtab)
	if !ok {
		return nil
	}
	table, ok := f.part(secSymtab)
	size := f.head.SymbolSize()
	if !ok || len(table)%size != 0 || len(table) == 0 {
		return nil
	}
	const prefix = "__crc_"
	left := maxNames
	for table = table[size:]; len(table) > 0; table = table[size:] {
		sym := f.head.Symbol(table)
		if uint64(sym.Name) >= uint64(len(strings)) {
			return nil
		}
		if !bytes.HasPrefix(strings[sym.Name:], []byte(prefix)) {
			continue
		}
		name := untilNUL(strings[uint64(sym.Name)+uint64(len(prefix)):])
		if left -= len(name) + perName; left < 0 {
			return nil
		}
		list = append(list, Symbol{f.crc(sym.Value, uint64(sym.Section)), string(name)})
	}
	return list
}

// crc is the value of a checksum's symbol, or what it points at in a section
// (since Linux 4.5, CONFIG_MODULE_REL_CRCS).
func (f *File) crc(value, shndx uint64) uint64 {
	const undefined, absolute = 0, 0xfff1
	if shndx == undefined || shndx == absolute {
		return value
	}
	s, _, ok := f.section(shndx)
	if !ok || s.size < 4 || value > s.size-4 {
		return ^uint64(0)
	}
	at := s.offset + value
	return f.head.Uint(f.data[at : at+4])
}

// BuildID is the hash in the note of the linker.
func (f *File) BuildID() ([]byte, error) {
	b, ok := f.part(secBuildID)
	if !ok || len(b) == 0 {
		return nil, syscall.ENODATA
	}
	if len(b) < 12 {
		return nil, syscall.EINVAL
	}
	namesz, descsz, kind := f.head.Uint(b[:4]), f.head.Uint(b[4:8]), f.head.Uint(b[8:12])
	const gnuBuildID = 3
	if namesz+descsz > uint64(len(b)-12) || kind != gnuBuildID || namesz < 4 || cstring(b[12:16]) != "GNU" {
		return nil, syscall.EINVAL
	}
	return b[12+namesz : 12+namesz+descsz], nil
}
