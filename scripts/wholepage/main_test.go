// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"
)

// program is one with text of a page, and with data of that size in the file and in memory; both follow its headers' page.
func program(t *testing.T, wide bool, data, memory uint32) []byte {
	t.Helper()
	write := func(values ...any) []byte {
		var b bytes.Buffer
		for _, v := range values {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
		b.Write(make([]byte, 3*page-b.Len()))
		return b.Bytes()
	}
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', 1, 1, 1}
	if wide {
		ident[elf.EI_CLASS] = 2
		return write(elf.Header64{Ident: ident, Type: 2, Machine: 62, Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 2},
			elf.Prog64{Type: 1, Flags: 5, Off: 0, Filesz: page, Memsz: page},
			elf.Prog64{Type: 1, Flags: 6, Off: page, Vaddr: 5 * page, Filesz: uint64(data), Memsz: uint64(memory)})
	}
	return write(elf.Header32{Ident: ident, Type: 2, Machine: 40, Version: 1, Phoff: 52, Ehsize: 52, Phentsize: 32, Phnum: 2},
		elf.Prog32{Type: 1, Flags: 5, Off: 0, Filesz: page, Memsz: page},
		elf.Prog32{Type: 1, Flags: 6, Off: page, Vaddr: 5 * page, Filesz: data, Memsz: memory})
}

func TestFill(t *testing.T) {
	for _, wide := range []bool{false, true} {
		for _, tt := range []struct {
			data, memory, want uint32
			change             func([]byte)
		}{
			{data: page + 96, memory: 9 * page, want: 2 * page},
			{data: page, memory: 9 * page, want: page},
			{data: page + 96, memory: page + 100}, // .bss ends within the page
			{data: 2*page + 4, memory: 9 * page},  // the file ends within the page
			{data: 96, memory: 9 * page, change: func(b []byte) { b[2*page-1] = 1 }},
		} {
			b := program(t, wide, tt.data, tt.memory)
			if tt.change != nil {
				tt.change(b)
			}
			before := bytes.Clone(b)
			err := fill(b)
			if (err == nil) != (tt.want > 0) || err != nil && !bytes.Equal(b, before) {
				t.Errorf("wide %v, %+v: %v", wide, tt, err)
			}
			if err != nil {
				continue
			}
			f, err := elf.NewFile(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			was, err := elf.NewFile(bytes.NewReader(before))
			if err != nil {
				t.Fatal(err)
			}
			was.Progs[1].Filesz = uint64(tt.want)
			for i, p := range f.Progs {
				if p.ProgHeader != was.Progs[i].ProgHeader {
					t.Errorf("wide %v, %+v: segment %d is %+v, want %+v", wide, tt, i, p.ProgHeader, was.Progs[i].ProgHeader)
				}
			}
		}
	}
}
