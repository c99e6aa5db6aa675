// SPDX-License-Identifier: Apache-2.0

package main

import "encoding/binary"

// object is a module's file as far as depmod and modinfo read it: an ELF
// object with .modinfo, and symbols that it exports and needs.
func object(modinfo []string, exports, needs []string) []byte {
	le := binary.LittleEndian
	var info []byte
	for _, s := range modinfo {
		info = append(append(info, s...), 0)
	}
	names := []byte{0}
	symbols := make([]byte, 24)
	symbol := func(name string, section uint16, value uint64) {
		s := make([]byte, 24)
		le.PutUint32(s, uint32(len(names)))
		s[4] = 1 << 4 // STB_GLOBAL
		le.PutUint16(s[6:], section)
		le.PutUint64(s[8:], value)
		symbols = append(symbols, s...)
		names = append(append(names, name...), 0)
	}
	const absolute, undefined = 0xfff1, 0
	for i, s := range exports {
		symbol("__crc_"+s, absolute, uint64(i+1))
	}
	for _, s := range needs {
		symbol(s, undefined, 0)
	}
	sections := []struct {
		name        string
		kind        uint32
		data        []byte
		link, entry int
	}{
		{},
		{".modinfo", 1, info, 0, 0},
		{".symtab", 2, symbols, 3, 24},
		{".strtab", 3, names, 0, 0},
		{".shstrtab", 3, nil, 0, 0},
	}
	strings := []byte{0}
	var at [5]int
	for i, s := range sections[1:] {
		at[i+1] = len(strings)
		strings = append(append(strings, s.name...), 0)
	}
	sections[4].data = strings
	file := make([]byte, 64)
	var headers []byte
	for i, s := range sections {
		h := make([]byte, 64)
		if i > 0 {
			for len(file)%8 != 0 {
				file = append(file, 0)
			}
			le.PutUint32(h, uint32(at[i]))
			le.PutUint32(h[4:], s.kind)
			le.PutUint64(h[24:], uint64(len(file)))
			le.PutUint64(h[32:], uint64(len(s.data)))
			le.PutUint32(h[40:], uint32(s.link))
			le.PutUint64(h[48:], 8)
			le.PutUint64(h[56:], uint64(s.entry))
			file = append(file, s.data...)
		}
		headers = append(headers, h...)
	}
	for len(file)%8 != 0 {
		file = append(file, 0)
	}
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint16(file[16:], 1)  // ET_REL
	le.PutUint16(file[18:], 62) // EM_X86_64
	le.PutUint32(file[20:], 1)
	le.PutUint64(file[40:], uint64(len(file)))
	le.PutUint16(file[52:], 64)
	le.PutUint16(file[58:], 64)
	le.PutUint16(file[60:], 5)
	le.PutUint16(file[62:], 4)
	return append(file, headers...)
}
