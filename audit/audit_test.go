// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safeload/docs/schema"
	"safeload/kmod"
)

// maker builds a relocatable ELF file for arm64 by hand, so that the parser is
// tried without a compiler.
type maker struct {
	strings, rodata, text, modinfo []byte
	syms                           []elf.Sym64
	relocs                         []elf.Rela64
}

func newMaker() *maker {
	return &maker{strings: []byte{0}, syms: make([]elf.Sym64, 1)}
}

const makerText, makerRodata, makerModinfo = 1, 2, 3

func (m *maker) name(s string) uint32 {
	n := len(m.strings)
	m.strings = append(append(m.strings, s...), 0)
	return uint32(n)
}

func (m *maker) symbol(s string, sec int, value, size uint64, typ elf.SymType) uint32 {
	m.syms = append(m.syms, elf.Sym64{Name: m.name(s), Info: 1<<4 | byte(typ), Shndx: uint16(sec), Value: value, Size: size})
	return uint32(len(m.syms) - 1)
}

func (m *maker) info(s string) { m.modinfo = append(append(m.modinfo, s...), 0) }

func (m *maker) op(op uint32) { m.text = binary.LittleEndian.AppendUint32(m.text, op) }

func (m *maker) reloc(sym uint32, typ elf.R_AARCH64) {
	m.relocs = append(m.relocs, elf.Rela64{Off: uint64(len(m.text)), Info: uint64(sym)<<32 | uint64(typ)})
}

// address loads the address of a symbol into register r.
func (m *maker) address(r, sym uint32) {
	m.reloc(sym, elf.R_AARCH64_ADR_PREL_PG_HI21)
	m.op(0x90000000 | r)
	m.reloc(sym, elf.R_AARCH64_ADD_ABS_LO12_NC)
	m.op(0x91000000 | r<<5 | r)
}

func (m *maker) text64(s string) uint32 {
	at := len(m.rodata)
	m.rodata = append(append(m.rodata, s...), 0)
	return m.symbol(".L", makerRodata, uint64(at), uint64(len(s)+1), elf.STT_OBJECT)
}

// file puts it together.
func (m *maker) file() []byte {
	le := binary.LittleEndian
	encode := func(v any) []byte {
		b, err := binary.Append(nil, le, v)
		if err != nil {
			panic(err)
		}
		return b
	}
	secs := []struct {
		name       string
		typ        elf.SectionType
		flags      elf.SectionFlag
		data       []byte
		link, info uint32
		entsize    uint64
	}{
		{},
		{name: ".init.text", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC | elf.SHF_EXECINSTR, data: m.text},
		{name: ".rodata.str1.8", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, data: m.rodata},
		{name: ".modinfo", typ: elf.SHT_PROGBITS, flags: elf.SHF_ALLOC, data: m.modinfo},
		{name: ".symtab", typ: elf.SHT_SYMTAB, data: encode(m.syms), link: 5, entsize: 24},
		{name: ".strtab", typ: elf.SHT_STRTAB, data: m.strings},
		{name: ".rela.init.text", typ: elf.SHT_RELA, data: encode(m.relocs), link: 4, info: 1, entsize: 24},
		{name: ".shstrtab", typ: elf.SHT_STRTAB},
	}
	names := []byte{0}
	var headers []elf.Section64
	out := make([]byte, 64)
	for i := range secs {
		s := &secs[i]
		n := uint32(0)
		if s.name != "" {
			n = uint32(len(names))
			names = append(append(names, s.name...), 0)
		}
		if s.name == ".shstrtab" {
			s.data = names
		}
		for len(out)%8 != 0 {
			out = append(out, 0)
		}
		headers = append(headers, elf.Section64{Name: n, Type: uint32(s.typ), Flags: uint64(s.flags), Off: uint64(len(out)),
			Size: uint64(len(s.data)), Link: s.link, Info: s.info, Addralign: 8, Entsize: s.entsize})
		out = append(out, s.data...)
	}
	h := elf.Header64{Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_AARCH64), Version: 1, Shoff: uint64(len(out)),
		Ehsize: 64, Shentsize: 64, Shnum: uint16(len(headers)), Shstrndx: uint16(len(headers) - 1)}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	copy(out, encode(h))
	return append(out, encode(headers)...)
}

// selfRequester is a module whose init requests fix-self, its alias, by
// __request_module(wait, "fix-%s", "self").
func selfRequester(wait uint32) []byte {
	m := newMaker()
	m.info("alias=fix-self")
	m.info("depends=")
	m.info("vermagic=6.1.0 SMP")
	ask := m.symbol("__request_module", 0, 0, 0, elf.STT_NOTYPE)
	format, name := m.text64("fix-%s"), m.text64("self")
	m.address(1, format)
	m.address(2, name)
	m.op(0x52800000 | wait<<5) // mov w0, #wait
	m.reloc(ask, elf.R_AARCH64_CALL26)
	m.op(0x94000000)
	m.op(0xd65f03c0)
	m.symbol("init_module", makerText, 0, uint64(len(m.text)), elf.STT_FUNC)
	return m.file()
}

func tree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for n, b := range files {
		if err := os.WriteFile(filepath.Join(dir, n), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRequestsItself(t *testing.T) {
	for wait, want := range map[uint32]string{1: "certain: self fix-self", 0: "possible: self fix-self"} {
		r, err := Run(context.Background(), Options{Dir: tree(t, map[string][]byte{"self.ko": selfRequester(wait)})})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{want}, summaries(r)); diff != "" {
			t.Errorf("wait %d (-want +got):\n%s", wait, diff)
		}
	}
}

func TestConfiguration(t *testing.T) {
	dir := tree(t, map[string][]byte{"self.ko": selfRequester(1)})
	for name, c := range map[string]*kmod.Config{
		"blacklist": {Blacklist: []string{"self"}},
		"alias":     {Aliases: []kmod.Directive{{Name: "fix_self", Value: "other"}}},
	} {
		r, err := Run(context.Background(), Options{Dir: dir, Config: c})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Findings) != 0 {
			t.Errorf("%s: %v", name, summaries(r))
		}
	}
}

func TestUnreadable(t *testing.T) {
	r, err := Run(context.Background(), Options{Dir: tree(t, map[string][]byte{
		"self.ko": selfRequester(1), "text.ko": []byte("no module"), "cut.ko": selfRequester(1)[:200],
		"bad.ko.xz": []byte("\xfd7zXZ\x00garbage"),
	})})
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, e := range r.Failed {
		var m *ModuleError
		if !errors.As(e, &m) {
			t.Fatalf("%v is no ModuleError", e)
		}
		failed = append(failed, filepath.Base(m.File))
	}
	slices.Sort(failed)
	if diff := cmp.Diff([]string{"bad.ko.xz", "cut.ko", "text.ko"}, failed); diff != "" {
		t.Error(diff)
	}
	if got := summaries(r); len(got) != 1 {
		t.Error(got)
	}
	if _, err := Run(context.Background(), Options{Dir: t.TempDir()}); !errors.Is(err, ErrNoModules) {
		t.Error(err)
	}
}

// A folder above several trees is not one kernel's tree.
func TestForeign(t *testing.T) {
	of := func(release string) []byte {
		m := newMaker()
		m.info("vermagic=" + release + " SMP")
		return m.file()
	}
	r, err := Run(context.Background(), Options{Dir: tree(t, map[string][]byte{
		"a.ko": of("6.1.0"), "b.ko": of("6.1.0"), "c.ko": of("6.12.0"),
	})})
	if err != nil || r.Release != "6.1.0" || r.Foreign != 1 || r.Modules != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Of two modules with one name that in updates/ counts, packed or not.
func TestUpdates(t *testing.T) {
	m := newMaker()
	m.info("depends=")
	m.op(0xd65f03c0)
	m.symbol("init_module", makerText, 0, 4, elf.STT_FUNC)
	dir := t.TempDir()
	for name, b := range map[string][]byte{"kernel/self.ko": selfRequester(1), "updates/self.ko": m.file()} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Run(context.Background(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Findings) != 0 {
		t.Error(summaries(r))
	}
}

// What a file says cannot write control characters to a terminal.
func TestCleanText(t *testing.T) {
	f := Finding{Module: "a\x1b[2J", Hops: []Hop{{Module: "a", Request: "x\ny", Route: []string{"f\x07"}, Match: "a\x1b[2J", Why: "\u009b"}}}
	var b strings.Builder
	if err := WriteText(&b, &Result{Dir: "tree", Findings: []Finding{f}}, true); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\u009b") || strings.Contains(b.String(), "x\ny") {
		t.Errorf("%q", b.String())
	}
}

func TestBaseline(t *testing.T) {
	dir := tree(t, map[string][]byte{"self.ko": selfRequester(1)})
	r, err := Run(context.Background(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteJSON(&b, r, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if types, err := schema.Check("audit", strings.NewReader(b.String())); err != nil || len(types) != 2 {
		t.Error(types, err)
	}
	known, err := ReadBaseline(strings.NewReader(b.String()))
	if err != nil || !known[r.Findings[0].ID()] || len(known) != 1 {
		t.Error(known, err)
	}
	if _, err := ReadBaseline(strings.NewReader(`{"schema":2,"type":"finding","id":"x"}`)); err == nil {
		t.Error("a baseline of another schema was read")
	}
	cut := b.String()[:strings.Index(b.String(), "\n")+1]
	for _, part := range []string{"", cut} {
		if _, err := ReadBaseline(strings.NewReader(part)); err == nil {
			t.Errorf("a baseline without its end was read: %q", part)
		}
	}
}

func TestCryptoNames(t *testing.T) {
	nothing := func(algRequest) bool { return false }
	for _, c := range []struct {
		release string
		q       algRequest
		want    string
	}{
		{"6.1.0", algRequest{name: "aes"}, "crypto-aes crypto-aes-all"},
		{"6.1.0", algRequest{name: "cbc(aes)", class: typeSKCipher, cmask: 0xe, mask: algAsync | algNeedFallback},
			"crypto-cbc(aes) crypto-cbc crypto-aes"},
		{"6.12.107+deb13-armmp", algRequest{name: "cbc(aes)", class: typeSKCipher, cmask: 0xe, mask: algAsync | algNeedFallback},
			"crypto-cbc(aes) crypto-cbc crypto-aes crypto-ecb(aes) crypto-ecb crypto-aes crypto-aes"},
		{"6.1.0", algRequest{name: "gcm(aes)", mask: algNeedFallback},
			"crypto-gcm(aes) crypto-gcm crypto-ctr(aes) crypto-ctr crypto-aes crypto-ghash"},
		{"6.1.0", algRequest{name: "authenc(hmac(sha1),cbc(aes))", mask: algNeedFallback},
			"crypto-authenc(hmac(sha1),cbc(aes)) crypto-authenc crypto-hmac(sha1) crypto-hmac crypto-sha1 crypto-cbc(aes) crypto-cbc crypto-aes"},
		{"6.1.0", algRequest{name: "a(b", mask: algNeedFallback}, "crypto-a(b"},
	} {
		var got []string
		for _, n := range newModel(c.release).lookup(c.q, nothing) {
			got = append(got, n.text)
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s on %s (-want +got):\n%s", c.q.name, c.release, diff)
		}
	}
}

// FuzzStudy takes any bytes for a module: nothing of them may do harm.
// A symbol that lies outside of its section is none: what is made as long as
// its function would be must not follow from the file.
func TestSymbolOutside(t *testing.T) {
	for _, c := range compilers {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(build(t, "outside", c.cc, c.flags...), "outside.ko")
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := elf.NewFile(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			syms, err := f.Symbols()
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(syms, func(s elf.Symbol) bool { return s.Name == "init_module" })
			if i < 0 {
				t.Fatal("no init_module")
			}
			tab := f.SectionByType(elf.SHT_SYMTAB)
			at := raw[tab.Offset+uint64(i+1)*tab.Entsize:] // Symbols leaves the first out
			for _, value := range []uint64{0xffffffff_f0000000, 0x7fffffff_fffffff0, 0x80000000} {
				if f.Class == elf.ELFCLASS64 {
					binary.LittleEndian.PutUint64(at[8:], value)
				} else {
					binary.LittleEndian.PutUint32(at[4:], uint32(value))
				}
				im, err := newImage(raw, budget{left: maxWork})
				if err != nil {
					t.Fatal(err)
				}
				if s := im.syms[i+1]; s.sec != 0 {
					t.Errorf("%#x: taken for a place in section %d", value, s.sec)
				}
				study("x", "x", raw)
			}
		})
	}
}

func FuzzStudy(f *testing.F) {
	f.Add(selfRequester(1))
	f.Add(selfRequester(0)[:300])
	f.Fuzz(func(_ *testing.T, b []byte) { studyWithin(1<<22, "fuzz", "fuzz.ko", b) })
}

// FuzzInformation takes any bytes for .modinfo.
func FuzzInformation(f *testing.F) {
	f.Add([]byte("alias=a-b\x00depends=c,d\x00softdep=pre: x post: y\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var x facts
		information(&x, b)
		for _, a := range x.aliases {
			if strings.ContainsRune(a, 0) {
				t.Errorf("%q has a NUL", a)
			}
		}
	})
}
