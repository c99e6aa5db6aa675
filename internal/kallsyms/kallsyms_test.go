// SPDX-License-Identifier: Apache-2.0

package kallsyms

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// text is as a 32-bit ARM kernel's, in short.
const text = "00000000 A per_cpu\nc0100000 T _text\nc0100004 t one.isra.0\nc0100008 W weak\nc010000c d data\ngarbage\nc0100010 T last\n" +
	"c0200000 D _etext\nc0300000 t in_init\nbf000000 t of_module\t[module]\n"

var wanted = []string{"_text", "one", "weak", "last", "data", "in_init", "of_module", "absent"}

func TestRead(t *testing.T) {
	want := []Function{{"_text", 0xc0100000, 0xc0100004}, {"one.isra.0", 0xc0100004, 0xc0100008}, {"weak", 0xc0100008, 0xc010000c},
		{"last", 0xc0100010, 0xc0200000}}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
		"the end with the last bytes": iotest.DataErrReader(strings.NewReader(text)),
		"without _etext":              strings.NewReader(strings.Replace(strings.Replace(text, "_etext", "_other", 1), "c0300000 t in_init\n", "", 1)),
		"without a last newline":      strings.NewReader(text[:strings.Index(text, "_etext")+len("_etext")])} {
		f, err := Read(r, wanted...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(f.Found, want) || f.Total != len(want) {
			t.Errorf("%s: %v, %d; want %v", name, f.Found, f.Total, want)
		}
	}
}

func TestNames(t *testing.T) {
	f, err := Read(strings.NewReader("1 t other\n2 t some.constprop.0\n2 t alias\n3 t more\n"), "some")
	if err != nil || len(f.Found) != 1 || f.Total != 4 {
		t.Fatalf("%v, %v", f, err)
	}
	if one := f.Found[0]; one.Base() != "some" || one.Clone() != "constprop.0" || one.To != 3 {
		t.Errorf("%+v", one)
	}
}

func TestHidden(t *testing.T) {
	f, err := Read(strings.NewReader("00000000 T one\n0000000000000000 t weak\n"), wanted...)
	if want := []Function{{Name: "one"}, {Name: "weak"}}; err != nil || !slices.Equal(f.Found, want) {
		t.Errorf("%v, %v; want two without addresses", f, err)
	}
}

func TestErrors(t *testing.T) {
	if _, err := Read(strings.NewReader(strings.Repeat("x", 1<<17))); err == nil {
		t.Error("a line without an end is taken")
	}
	if _, err := Read(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want that of the reader", err)
	}
}

func TestOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kallsyms")
	if _, err := Of(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that nothing is there", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	Want("one")
	first, err := Of(path, "last")
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := Of(path, "one", "last"); second != first {
		t.Error("it was read twice, for what was wanted before")
	}
	third, err := Of(path, "weak")
	if err != nil || third == first || len(third.Found) != 3 {
		t.Errorf("%v, %v; want the three that were asked for", third, err)
	}
}

// BenchmarkRead is what one reading costs.
func BenchmarkRead(b *testing.B) {
	for b.Loop() {
		f, err := os.Open(Path)
		if err != nil {
			b.Skip(err)
		}
		_, err = Read(f, wanted...)
		f.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
}
