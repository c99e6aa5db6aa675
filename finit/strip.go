// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// strip does for init_module, which takes no flags, what [IgnoreModversions]
// and [IgnoreVermagic] do for finit_module: the kernel skips a check whose
// data it does not find (kernel/module/main.c, check_modinfo;
// kernel/module/version.c, check_version). It changes the image in place. A
// .modinfo without vermagic is ENODATA, as in libkmod (elf_strip_vermagic).
func strip(image []byte, flags Flags) error {
	sections, err := elfSections(image)
	if err != nil {
		return err
	}
	for _, s := range sections {
		if flags&IgnoreModversions != 0 && s.name == "__versions" {
			s.clearAlloc()
		}
		if flags&IgnoreVermagic != 0 && s.name == ".modinfo" {
			if !clearVermagic(s.data) {
				return unix.ENODATA
			}
		}
	}
	return nil
}

// clearVermagic zeroes the entry "vermagic=…" among the NUL-separated strings
// of .modinfo; false if there are others, but not that one.
func clearVermagic(modinfo []byte) bool {
	const key = "vermagic="
	found, others := false, false
	for start := 0; start < len(modinfo); {
		end := start
		for end < len(modinfo) && modinfo[end] != 0 {
			end++
		}
		entry := modinfo[start:end]
		others = others || len(entry) > 0
		if len(entry) >= len(key) && string(entry[:len(key)]) == key {
			clear(entry)
			found = true
		}
		start = end + 1
	}
	return found || !others
}

type elfSection struct {
	name  string
	data  []byte
	flags []byte // sh_flags, in the image
	order binary.ByteOrder
}

// clearAlloc takes SHF_ALLOC off the section, which hides it from the
// kernel's find_sec.
func (s elfSection) clearAlloc() {
	const shfAlloc = 2
	// SHF_ALLOC is in the low 32 bits of sh_flags, whatever its width.
	low := s.flags
	if len(s.flags) == 8 && s.order == binary.ByteOrder(binary.BigEndian) {
		low = s.flags[4:]
	}
	s.order.PutUint32(low, s.order.Uint32(low)&^shfAlloc)
}

// elfSections lists the sections of an ELF image of either class and byte
// order; ENOEXEC when it is none, EINVAL when it is damaged, as libkmod has it.
func elfSections(image []byte) ([]elfSection, error) {
	if len(image) <= 16 || string(image[:4]) != "\x7fELF" {
		return nil, unix.ENOEXEC
	}
	if len(image) < 52 {
		return nil, unix.EINVAL
	}
	var order binary.ByteOrder = binary.LittleEndian
	if image[5] == 2 {
		order = binary.BigEndian
	}
	wide := image[4] == 2
	if wide && len(image) < 64 {
		return nil, unix.EINVAL
	}
	word := func(b []byte, at32, at64 int) uint64 {
		if wide {
			return order.Uint64(b[at64:])
		}
		return uint64(order.Uint32(b[at32:]))
	}
	tail := 46 // e_shentsize in the 32-bit header
	least := 40
	if wide {
		tail, least = 58, 64
	}
	shoff := word(image, 32, 40)
	shentsize := int(order.Uint16(image[tail:]))
	shnum := int(order.Uint16(image[tail+2:]))
	shstrndx := int(order.Uint16(image[tail+4:]))
	size := uint64(len(image))
	if shentsize < least || shstrndx >= shnum || shoff > size ||
		uint64(shentsize)*uint64(shnum) > size-shoff {
		return nil, unix.EINVAL
	}
	header := func(i int) []byte {
		at := int(shoff) + i*shentsize
		return image[at : at+shentsize]
	}
	data := func(h []byte) ([]byte, bool) {
		const shtNobits = 8
		if order.Uint32(h[4:]) == shtNobits {
			return nil, true
		}
		off, n := word(h, 16, 24), word(h, 20, 32)
		if off > size || n > size-off {
			return nil, false
		}
		return image[off : off+n], true
	}
	names, ok := data(header(shstrndx))
	if !ok {
		return nil, unix.EINVAL
	}
	var sections []elfSection
	for i := range shnum {
		h := header(i)
		d, ok := data(h)
		if !ok {
			return nil, unix.EINVAL
		}
		flags := h[8:12]
		if wide {
			flags = h[8:16]
		}
		sections = append(sections, elfSection{
			name: cString(names, order.Uint32(h)), data: d, flags: flags, order: order,
		})
	}
	return sections, nil
}

func cString(b []byte, at uint32) string {
	if uint64(at) >= uint64(len(b)) {
		return ""
	}
	b = b[at:]
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return ""
}
