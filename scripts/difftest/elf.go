// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
)

// elfModule is a module's file as far as depmod reads it, of either size and
// either order of bytes.
type elfModule struct {
	is32, big bool
	info      []string
	// exports are symbols called __crc_NAME, or else names in __ksymtab_strings.
	exports []elfSymbol
	strings bool
	// needs are undefined symbols; those with a checksum are in __versions too.
	needs []elfSymbol
}

type elfSymbol struct {
	name string
	crc  uint32
	// indirect puts the checksum into a section, and weak binds weakly.
	indirect, weak bool
}

type elfSection struct {
	name string
	kind uint32
	data []byte
	link uint32
	unit uint64
}

// bytes gives the file.
func (m *elfModule) bytes() []byte {
	info, crcs, strtab, exported, versions := []byte{}, []byte{}, []byte{0}, []byte{}, []byte{}
	for _, s := range m.info {
		info = append(append(info, s...), 0)
	}
	symtab := m.symbol(0, 0, 0, 0)
	add := func(name string, bind byte, section uint16, value uint64) {
		symtab = append(symtab, m.symbol(uint32(len(strtab)), bind, section, value)...)
		strtab = append(append(strtab, name...), 0)
	}
	const absolute, crcSection = 0xfff1, 2
	for _, s := range m.exports {
		switch {
		case m.strings:
			exported = append(append(exported, s.name...), 0)
		case s.indirect:
			add("__crc_"+s.name, 1, crcSection, uint64(len(crcs)))
			crcs = m.order().AppendUint32(crcs, s.crc)
		default:
			add("__crc_"+s.name, 1, absolute, uint64(s.crc))
		}
	}
	for _, s := range m.needs {
		bind := byte(1)
		if s.weak {
			bind = 2
		}
		add(s.name, bind, 0, 0)
		if s.crc != 0 {
			entry := make([]byte, 64)
			copy(entry[len(m.word(uint64(s.crc))):63], s.name)
			copy(entry, m.word(uint64(s.crc)))
			versions = append(versions, entry...)
		}
	}
	unit := uint64(len(m.symbol(0, 0, 0, 0)))
	sections := []elfSection{{}, {".modinfo", 1, info, 0, 0}, {"__kcrctab", 1, crcs, 0, 0}, {".symtab", 2, symtab, 4, unit}, {".strtab", 3, strtab, 0, 0}}
	if m.strings {
		sections = append(sections, elfSection{"__ksymtab_strings", 1, exported, 0, 0})
	}
	if len(versions) > 0 {
		sections = append(sections, elfSection{"__versions", 1, versions, 0, 0})
	}
	return m.file(append(sections, elfSection{name: ".shstrtab", kind: 3}))
}

func (m *elfModule) order() binary.AppendByteOrder {
	if m.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// word is a number as wide as an address.
func (m *elfModule) word(n uint64) []byte {
	if m.is32 {
		return m.order().AppendUint32(nil, uint32(n))
	}
	return m.order().AppendUint64(nil, n)
}

func (m *elfModule) symbol(name uint32, bind byte, section uint16, value uint64) []byte {
	o := m.order()
	b := o.AppendUint32(nil, name)
	if m.is32 {
		b = o.AppendUint32(o.AppendUint32(b, uint32(value)), 0)
		return o.AppendUint16(append(b, bind<<4, 0), section)
	}
	b = o.AppendUint16(append(b, bind<<4, 0), section)
	return o.AppendUint64(o.AppendUint64(b, value), 0)
}

// file puts the sections behind a header; the last one holds their names.
func (m *elfModule) file(sections []elfSection) []byte {
	o := m.order()
	header, machine, class, data := 64, uint16(62), byte(2), byte(1)
	if m.is32 {
		header, machine, class = 52, 40, 1
	}
	if m.big {
		data = 2
	}
	last := len(sections) - 1
	names, at := []byte{0}, make([]uint32, len(sections))
	for i, s := range sections[1:] {
		at[i+1] = uint32(len(names))
		names = append(append(names, s.name...), 0)
	}
	sections[last].data = names
	body, table := make([]byte, header), []byte{}
	for i, s := range sections {
		offset := uint64(0)
		if i > 0 {
			body = append(body, make([]byte, -len(body)&7)...)
			offset = uint64(len(body))
			body = append(body, s.data...)
		}
		table = o.AppendUint32(o.AppendUint32(table, at[i]), s.kind)
		for _, n := range [...]uint64{0, 0, offset, uint64(len(s.data))} {
			table = append(table, m.word(n)...)
		}
		table = o.AppendUint32(o.AppendUint32(table, s.link), 0)
		table = append(append(table, m.word(8)...), m.word(s.unit)...)
	}
	body = append(body, make([]byte, -len(body)&7)...)
	h := append([]byte("\x7fELF"), class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	h = o.AppendUint32(o.AppendUint16(o.AppendUint16(h, 1), machine), 1)
	for _, n := range [...]uint64{0, 0, uint64(len(body))} {
		h = append(h, m.word(n)...)
	}
	h = o.AppendUint32(h, 0)
	for _, n := range [...]int{header, 0, 0, len(table) / len(sections), len(sections), last} {
		h = o.AppendUint16(h, uint16(n))
	}
	copy(body, h)
	return bytes.Join([][]byte{body, table}, nil)
}
