// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// object makes a little-endian ELF file with these sections, of 64 or 32 bits.
func object(wide bool, sections map[string][]byte) []byte {
	names := []byte("\x00.shstrtab\x00")
	head, entry := 52, 40
	if wide {
		head, entry = 64, 64
	}
	body := make([]byte, head)
	type placed struct{ name, off, size int }
	all := []placed{{}}
	for _, n := range []string{".modinfo", ".gnu.linkonce.this_module"} {
		if b, ok := sections[n]; ok {
			all = append(all, placed{len(names), len(body), len(b)})
			names = append(append(names, n...), 0)
			body = append(body, b...)
		}
	}
	all = append(all, placed{1, len(body), len(names)})
	body = append(body, names...)
	at := len(body)
	le := binary.LittleEndian
	for _, s := range all {
		h := make([]byte, entry)
		le.PutUint32(h, uint32(s.name))
		if wide {
			le.PutUint64(h[24:], uint64(s.off))
			le.PutUint64(h[32:], uint64(s.size))
		} else {
			le.PutUint32(h[16:], uint32(s.off))
			le.PutUint32(h[20:], uint32(s.size))
		}
		body = append(body, h...)
	}
	copy(body, "\x7fELF\x01\x01\x01")
	if wide {
		body[4] = 2
		le.PutUint64(body[40:], uint64(at))
		le.PutUint16(body[58:], uint16(entry))
		le.PutUint16(body[60:], uint16(len(all)))
		le.PutUint16(body[62:], uint16(len(all)-1))
	} else {
		le.PutUint32(body[32:], uint32(at))
		le.PutUint16(body[46:], uint16(entry))
		le.PutUint16(body[48:], uint16(len(all)))
		le.PutUint16(body[50:], uint16(len(all)-1))
	}
	return body
}

// thisModule is a struct module with that name where the kernel has it.
func thisModule(wide bool, name string) []byte {
	b := make([]byte, 400)
	if wide {
		copy(b[24:], name)
	} else {
		copy(b[12:], name)
	}
	return b
}

func TestNameOf(t *testing.T) {
	const this = ".gnu.linkonce.this_module"
	info := []byte("license=GPL\x00name=by_modinfo\x00")
	for _, wide := range []bool{false, true} {
		for what, c := range map[string]struct {
			sections map[string][]byte
			want     string
		}{
			"the structure's":               {map[string][]byte{this: thisModule(wide, "a_module"), ".modinfo": info}, "a_module"},
			"no .modinfo":                   {map[string][]byte{this: thisModule(wide, "a_module")}, "a_module"},
			"as the kernel takes it":        {map[string][]byte{this: thisModule(wide, "with-dash")}, "with-dash"},
			"laid out otherwise":            {map[string][]byte{this: thisModule(wide, ""), ".modinfo": info}, "by_modinfo"},
			"leads elsewhere":               {map[string][]byte{this: thisModule(wide, "../kernel"), ".modinfo": info}, "by_modinfo"},
			"not to be printed":             {map[string][]byte{this: thisModule(wide, "a\x1b[2J")}, ""},
			"with no end":                   {map[string][]byte{this: bytes.Repeat([]byte{'a'}, 400)}, ""},
			"a structure that is too short": {map[string][]byte{this: make([]byte, 20)}, ""},
			"none":                          {nil, ""},
		} {
			if got, ok := NameOf(object(wide, c.sections)); got != c.want || ok != (c.want != "") {
				t.Errorf("wide %v, %s: %q %v, want %q", wide, what, got, ok, c.want)
			}
		}
		whole := object(wide, map[string][]byte{this: thisModule(wide, "a_module")})
		for n := range whole {
			if got, ok := NameOf(whole[:n]); ok {
				t.Errorf("wide %v, cut to %d of %d bytes: %q", wide, n, len(whole), got)
			}
		}
	}
}
