// SPDX-License-Identifier: Apache-2.0

package isa

import "testing"

// FuzzDecode takes any bytes for code: a decoder stays inside them and goes on.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0xfe, 0xff, 0xff, 0xeb, 0x1e, 0xff, 0x2f, 0xe1})
	f.Add([]byte{0x4f, 0xf0, 0x00, 0x01, 0x70, 0x47})
	f.Add([]byte{0xf3, 0x0f, 0x1e, 0xfa, 0xe8, 0, 0, 0, 0, 0xc3})
	f.Fuzz(func(t *testing.T, code []byte) {
		for _, a := range []*Arch{ARM, ARM64, AMD64} {
			for _, thumb := range []bool{false, true} {
				st := State{Thumb: thumb}
				for pos := int64(0); pos < int64(len(code)); {
					in, ok := a.Decode(code, pos, &st)
					if !ok {
						break
					}
					if in.Len <= 0 || pos+int64(in.Len) > int64(len(code)) {
						t.Fatalf("%s: an instruction of %d bytes at %d of %d", a.Name, in.Len, pos, len(code))
					}
					pos += int64(in.Len)
				}
			}
		}
	})
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name  string
		arch  *Arch
		thumb bool
		code  []byte
		want  Inst
	}{
		{"arm bl", ARM, false, []byte{0xfe, 0xff, 0xff, 0xeb}, Inst{Kind: Call, Len: 4, Target: 0}},
		{"arm movw", ARM, false, []byte{0x62, 0xc2, 0x00, 0xe3}, Inst{Kind: Const, Len: 4, Dst: 12, Imm: 0x262}},
		{"arm mov #384", ARM, false, []byte{0x06, 0x2d, 0xa0, 0xe3}, Inst{Kind: Const, Len: 4, Dst: 2, Imm: 384}},
		{"thumb bl", ARM, true, []byte{0xff, 0xf7, 0xfe, 0xff}, Inst{Kind: Call, Len: 4, Target: 0}},
		{"thumb movs", ARM, true, []byte{0x01, 0x20}, Inst{Kind: Const, Len: 2, Dst: 0, Imm: 1}},
		{"thumb cmp", ARM, true, []byte{0x03, 0x28}, Inst{Kind: Compare, Len: 2, Src: 0, Imm: 3}},
		{"arm64 mov w1, #7", ARM64, false, []byte{0xe1, 0x00, 0x80, 0x52}, Inst{Kind: Const, Len: 4, Dst: 1, Imm: 7}},
		{"arm64 cmp w20, #7", ARM64, false, []byte{0x9f, 0x1e, 0x00, 0x71}, Inst{Kind: Compare, Len: 4, Src: 20, Imm: 7}},
		{"arm64 and x20, x1, #0xff", ARM64, false, []byte{0x34, 0x1c, 0x40, 0x92}, Inst{Kind: Move, Len: 4, Dst: 20, Src: 1, Size: 1}},
		{"amd64 call", AMD64, false, []byte{0xe8, 0, 0, 0, 0}, Inst{Kind: Call, Len: 5, Target: 5}},
		{"amd64 mov $7, %esi", AMD64, false, []byte{0xbe, 7, 0, 0, 0}, Inst{Kind: Const, Len: 5, Dst: 6, Imm: 7}},
		{"amd64 cmp $7, %dil", AMD64, false, []byte{0x40, 0x80, 0xff, 7}, Inst{Kind: Compare, Len: 4, Src: 7, Imm: 7, Size: 1}},
	} {
		got, ok := c.arch.Decode(c.code, 0, &State{Thumb: c.thumb})
		if !ok || got.Kind != c.want.Kind || got.Len != c.want.Len || got.Imm != c.want.Imm || got.Target != c.want.Target {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
			continue
		}
		if c.want.Dst != 0 && got.Dst != c.want.Dst || c.want.Src != 0 && got.Src != c.want.Src || c.want.Size != 0 && got.Size != c.want.Size {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
