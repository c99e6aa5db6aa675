// SPDX-License-Identifier: Apache-2.0

package elfhead_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safeload/internal/elfhead"
)

// TestLayouts: the structures of debug/elf, written in each size and byte order,
// are read back.
func TestLayouts(t *testing.T) {
	for order, bo := range map[byte]binary.AppendByteOrder{1: binary.LittleEndian, 2: binary.BigEndian} {
		write := func(v any) []byte {
			var b bytes.Buffer
			if err := binary.Write(&b, bo.(binary.ByteOrder), v); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}
		tables := elfhead.Header{Order: order, Type: 1, Machine: 40, Names: 9,
			Segments: elfhead.Table{At: 0x101, Each: 0x202, Count: 0x303}, Sections: elfhead.Table{At: 0x404, Each: 0x505, Count: 0x606}}
		section := elfhead.Section{Name: 1, Type: 2, Flags: 3, Offset: 4, Size: 5, Link: 6, Info: 7}
		segment := elfhead.Segment{Type: 1, Offset: 0x20000, Size: 0x30000, Address: 0x40000, Memory: 0x50000}
		symbol := elfhead.Symbol{Name: 0x1000, Info: 0x12, Section: 0x304, Value: 0x50000, Size: 0x60000}
		for class, have := range map[byte][4][]byte{
			1: {
				write(elf.Header32{Ident: ident(1, order), Type: 1, Machine: 40, Phoff: 0x101, Shoff: 0x404, Phentsize: 0x202, Phnum: 0x303, Shentsize: 0x505, Shnum: 0x606, Shstrndx: 9}),
				write(elf.Section32{Name: 1, Type: 2, Flags: 3, Off: 4, Size: 5, Link: 6, Info: 7}),
				write(elf.Prog32{Type: 1, Off: 0x20000, Filesz: 0x30000, Vaddr: 0x40000, Memsz: 0x50000}),
				write(elf.Sym32{Name: 0x1000, Info: 0x12, Shndx: 0x304, Value: 0x50000, Size: 0x60000}),
			},
			2: {
				write(elf.Header64{Ident: ident(2, order), Type: 1, Machine: 40, Phoff: 0x101, Shoff: 0x404, Phentsize: 0x202, Phnum: 0x303, Shentsize: 0x505, Shnum: 0x606, Shstrndx: 9}),
				write(elf.Section64{Name: 1, Type: 2, Flags: 3, Off: 4, Size: 5, Link: 6, Info: 7}),
				write(elf.Prog64{Type: 1, Off: 0x20000, Filesz: 0x30000, Vaddr: 0x40000, Memsz: 0x50000}),
				write(elf.Sym64{Name: 0x1000, Info: 0x12, Shndx: 0x304, Value: 0x50000, Size: 0x60000}),
			},
		} {
			want := tables
			want.Class = class
			h, ok := elfhead.Read(have[0])
			if diff := cmp.Diff(want, h); !ok || diff != "" {
				t.Fatalf("class %d, order %d: %v %s", class, order, ok, diff)
			}
			if h.SectionSize() != uint64(len(have[1])) || h.SegmentSize() != uint64(len(have[2])) || h.SymbolSize() != len(have[3]) {
				t.Errorf("class %d: sizes %d %d %d", class, h.SectionSize(), h.SegmentSize(), h.SymbolSize())
			}
			if diff := cmp.Diff(section, h.Section(have[1])); diff != "" {
				t.Errorf("class %d, order %d: %s", class, order, diff)
			}
			if diff := cmp.Diff(segment, h.Segment(have[2])); diff != "" {
				t.Errorf("class %d, order %d: %s", class, order, diff)
			}
			if diff := cmp.Diff(symbol, h.Symbol(have[3])); diff != "" {
				t.Errorf("class %d, order %d: %s", class, order, diff)
			}
		}
	}
}

// TestShort: what is cut off is not read.
func TestShort(t *testing.T) {
	b := make([]byte, elfhead.Size64)
	id := ident(2, 1)
	copy(b, id[:])
	b[40], b[60] = 64, 3
	for n := range b {
		h, ok := elfhead.Read(b[:n])
		if ok != (n >= elfhead.Size32) || h.Sections.Count != 0 {
			t.Errorf("%d bytes: %v %+v", n, ok, h)
		}
	}
	if h, ok := elfhead.Read(b); !ok || h.Sections != (elfhead.Table{At: 64, Count: 3}) {
		t.Errorf("%+v %v", h, ok)
	}
}

func ident(class, order byte) (id [elf.EI_NIDENT]byte) {
	copy(id[:], elfhead.Magic)
	id[4], id[5], id[6] = class, order, 1
	return id
}
