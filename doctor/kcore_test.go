// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"strings"
	"testing"
)

// TestReadCore reads from made-up cores of both sizes: notes, then two pieces of memory.
func TestReadCore(t *testing.T) {
	write := func(values ...any) []byte {
		var b bytes.Buffer
		for _, v := range values {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
		b.Write(make([]byte, 0x200-b.Len()))
		b.WriteString("modulesKERNEL")
		return b.Bytes()
	}
	ident := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', 1, 1, 1}
	narrow := write(elf.Header32{Ident: ident, Type: 4, Machine: 40, Phoff: 52, Phentsize: 32, Phnum: 3},
		elf.Prog32{Type: 4, Off: 0x100},
		elf.Prog32{Type: 1, Off: 0x200, Vaddr: 0xbf000000, Memsz: 7},
		elf.Prog32{Type: 1, Off: 0x207, Vaddr: 0xc0000000, Memsz: 6})
	ident[elf.EI_CLASS] = 2
	const text = 0xffffffff81000000
	wide := write(elf.Header64{Ident: ident, Type: 4, Machine: 62, Phoff: 64, Phentsize: 56, Phnum: 3},
		elf.Prog64{Type: 4, Off: 0x100},
		elf.Prog64{Type: 1, Off: 0x200, Vaddr: 0xffffffffc0000000, Memsz: 7},
		elf.Prog64{Type: 1, Off: 0x207, Vaddr: text, Memsz: 6})
	for name, tt := range map[string]struct {
		core       []byte
		addr, size uint64
		want, bad  string
	}{
		"32 bits":           {narrow, 0xc0000002, 4, "RNEL", ""},
		"32 bits, a module": {narrow, 0xbf000000, 7, "modules", ""},
		"64 bits":           {wide, text + 2, 4, "RNEL", ""},
		"beyond the end":    {wide, text + 2, 5, "", "does not hold"},
		"not there":         {narrow, 0x1000, 4, "", "does not hold"},
		"cut short":         {wide[:0x20a], text, 6, "", "read /proc/kcore"},
		"no ELF":            {make([]byte, 100), text, 6, "", "no ELF"},
		"empty":             {nil, text, 6, "", "read /proc/kcore"},
	} {
		got, err := readCore(bytes.NewReader(tt.core), tt.addr, tt.size)
		if string(got) != tt.want || (err == nil) != (tt.bad == "") || err != nil && !strings.Contains(err.Error(), tt.bad) {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, tt.want, tt.bad)
		}
	}
}
