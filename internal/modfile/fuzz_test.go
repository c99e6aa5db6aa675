// SPDX-License-Identifier: Apache-2.0

package modfile

import (
	"encoding/binary"
	"testing"
)

const headerSize, sectionSize = 64, 64

// smallModule is a 64-bit module with a .modinfo and one symbol version.
func smallModule() []byte {
	names := "\x00.modinfo\x00__versions\x00.shstrtab\x00"
	modinfo := "license=GPL\x00\x00parm=a:text\x00odd\x00"
	b := make([]byte, headerSize)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	at := map[string]int{}
	add := func(name string, data []byte) {
		at[name] = len(b)
		b = append(b, data...)
	}
	versions := make([]byte, 64)
	le.PutUint64(versions, 0x1234)
	copy(versions[8:], "printk")
	add("modinfo", []byte(modinfo))
	add("versions", versions)
	add("names", []byte(names))
	le.PutUint64(b[0x28:], uint64(len(b)))
	le.PutUint16(b[0x3a:], sectionSize)
	le.PutUint16(b[0x3c:], 4)
	le.PutUint16(b[0x3e:], 3)
	header := func(name, offset, size int) {
		h := make([]byte, sectionSize)
		le.PutUint32(h, uint32(name))
		le.PutUint64(h[0x18:], uint64(offset))
		le.PutUint64(h[0x20:], uint64(size))
		b = append(b, h...)
	}
	header(0, 0, 0)
	header(1, at["modinfo"], len(modinfo))
	header(10, at["versions"], 64)
	header(21, at["names"], len(names))
	return b
}

func TestModule(t *testing.T) {
	f, err := New(smallModule())
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Info()
	want := []Info{{"license", "GPL"}, {"parm", "a:text"}, {"odd", ""}}
	if err != nil || len(info) != len(want) {
		t.Fatalf("Info = %v, %v", info, err)
	}
	for i := range want {
		if info[i] != want[i] {
			t.Errorf("line %d: %v, want %v", i, info[i], want[i])
		}
	}
	v, err := f.Modversions()
	if err != nil || len(v) != 1 || v[0] != (Symbol{0x1234, "printk"}) {
		t.Errorf("Modversions = %v, %v", v, err)
	}
}

func FuzzModule(f *testing.F) {
	good := smallModule()
	f.Add(good)
	f.Add(good[:100])
	f.Add(append(good[:len(good):len(good)],
		"signerkeyid~sig~\x01\x04\x01\x06\x05\x00\x00\x00\x00\x00\x00\x05"+signatureMagic...))
	f.Add([]byte("\x7fELF\x01\x02\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := New(data)
		if err != nil {
			return
		}
		info, _ := m.Info()
		if len(info) > len(data) {
			t.Fatal("more lines than bytes")
		}
		_, _ = m.Modversions()
		_, _ = m.Exports()
		_, _ = m.BuildID()
		m.Signature()
	})
}

func FuzzSignature(f *testing.F) {
	pkcs7 := "\x30\x1d\x06\x09" + oidSignedData + "\xa0\x10\x30\x0e\x02\x01\x01\x31\x00\x30\x00\x31\x05\x30\x03\x02\x01\x01"
	f.Add([]byte(pkcs7))
	f.Add([]byte("\x30\x84\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Signature
		s.fromPKCS7(data)
		commonName(data)
		magnitude(data)
		hashName(data)
		ParseSignature(data)
		tail := binary.BigEndian.AppendUint32([]byte{0, 4, 2, 0, 0, 0, 0, 0}, uint32(len(data)))
		ParseSignature(append(append(data[:len(data):len(data)], tail...), signatureMagic...))
	})
}

func FuzzInfo(f *testing.F) {
	f.Add([]byte("ext4.license=GPL\x00ext4.alias=fs-ext4\x00fat.license=GPL\x00"), "ext4")
	f.Add([]byte("\x00"), "")
	f.Add([]byte("nodot\x00"), "x")
	f.Fuzz(func(t *testing.T, data []byte, module string) {
		ParseInfo(data)
		if list, _ := BuiltinInfo(data, module); len(list) > len(data) {
			t.Fatal("more lines than bytes")
		}
	})
}
