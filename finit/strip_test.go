// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// module makes an ELF file with the sections that strip is about.
func module(wide bool, order binary.ByteOrder) []byte {
	names := []byte("\x00__versions\x00.modinfo\x00.shstrtab\x00")
	at := func(name string) uint32 { return uint32(bytes.Index(names, []byte(name+"\x00"))) }
	modinfo := []byte("license=GPL\x00vermagic=6.12.0 SMP\x00name=foo\x00")
	versions := []byte("\x12\x34\x56\x78module_layout\x00")

	var b bytes.Buffer
	header, shentsize, class := 52, 40, byte(1)
	if wide {
		header, shentsize, class = 64, 64, 2
	}
	data := byte(1)
	if order == binary.BigEndian {
		data = 2
	}
	word := func(v uint64) {
		if wide {
			_ = binary.Write(&b, order, v)
		} else {
			_ = binary.Write(&b, order, uint32(v))
		}
	}
	half := func(v ...int) {
		for _, v := range v {
			_ = binary.Write(&b, order, uint16(v))
		}
	}
	full := func(v uint32) { _ = binary.Write(&b, order, v) }

	body := append(append(append([]byte{}, names...), modinfo...), versions...)
	b.WriteString("\x7fELF")
	b.Write([]byte{class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	half(1, 40)
	full(1)
	word(0)
	word(0)
	word(uint64(header + len(body)))
	full(0)
	half(header, 0, 0, shentsize, 4, 3)
	b.Write(body)
	section := func(name string, kind uint32, flags uint64, off, n int) {
		full(at(name))
		full(kind)
		word(flags)
		word(0)
		word(uint64(off))
		word(uint64(n))
		full(0)
		full(0)
		word(1)
		word(0)
	}
	b.Write(make([]byte, shentsize))
	section("__versions", 1, 2, header+len(names)+len(modinfo), len(versions))
	section(".modinfo", 1, 2, header+len(names), len(modinfo))
	section(".shstrtab", 3, 0, header, len(names))
	return b.Bytes()
}

func TestStrip(t *testing.T) {
	for _, wide := range []bool{false, true} {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			image := module(wide, order)
			if err := strip(image, IgnoreModversions|IgnoreVermagic); err != nil {
				t.Fatal(err)
			}
			f, err := elf.NewFile(bytes.NewReader(image))
			if err != nil {
				t.Fatal(err)
			}
			if s := f.Section("__versions"); s == nil || s.Flags&elf.SHF_ALLOC != 0 {
				t.Errorf("wide %v, %v: __versions is still for the kernel to see", wide, order)
			}
			s := f.Section(".modinfo")
			got, err := s.Data()
			want := "license=GPL\x00" + string(make([]byte, len("vermagic=6.12.0 SMP"))) + "\x00name=foo\x00"
			if err != nil || string(got) != want {
				t.Errorf(".modinfo is %q, %v; want %q", got, err, want)
			}
			if s.Flags&elf.SHF_ALLOC == 0 {
				t.Error(".modinfo lost SHF_ALLOC")
			}
		}
	}
}

// TestStripWithoutVermagic also says what is no fault: a .modinfo of zeros.
func TestStripWithoutVermagic(t *testing.T) {
	for _, c := range []struct {
		modinfo string
		want    error
	}{{"license=GPL\x00verMagic=6.12.0 SMP\x00name=foo\x00", unix.ENODATA}, {string(make([]byte, 42)), nil}} {
		image := module(true, binary.LittleEndian)
		at := bytes.Index(image, []byte("license=GPL"))
		copy(image[at:], c.modinfo)
		if err := strip(image, IgnoreVermagic); err != c.want {
			t.Errorf("%q: %v, want %v", c.modinfo, err, c.want)
		}
		if err := strip(image, IgnoreModversions); err != nil {
			t.Errorf("%q, not asked for vermagic: %v", c.modinfo, err)
		}
	}
}

func TestStripKeepsWhatIsNotAsked(t *testing.T) {
	image := module(true, binary.LittleEndian)
	before := bytes.Clone(image)
	if err := strip(image, IgnoreVermagic); err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	if f.Section("__versions").Flags&elf.SHF_ALLOC == 0 {
		t.Error("__versions hidden without IgnoreModversions")
	}
	if bytes.Equal(image, before) {
		t.Error("nothing changed")
	}
}

func FuzzStrip(f *testing.F) {
	f.Add(module(false, binary.LittleEndian))
	f.Add(module(true, binary.LittleEndian))
	f.Add(module(true, binary.BigEndian))
	f.Fuzz(func(t *testing.T, image []byte) {
		_ = strip(image, IgnoreModversions|IgnoreVermagic)
	})
}
