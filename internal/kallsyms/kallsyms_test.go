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

func names(f *Functions) (all []string) {
	for at, name := range f.All() {
		if at != 0 {
			all = append(all, string(name))
		}
	}
	return all
}

func TestRead(t *testing.T) {
	want := []string{"_text", "one.isra.0", "weak", "last"}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text)),
		"the end with the last bytes": iotest.DataErrReader(strings.NewReader(text)),
		"without _etext":              strings.NewReader(strings.Replace(strings.Replace(text, "_etext", "_other", 1), "c0300000 t in_init\n", "", 1)),
		"without a last newline":      strings.NewReader(strings.TrimSuffix(text[:strings.Index(text, "c0200000")], "\n"))} {
		f, err := Read(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := names(f); !slices.Equal(got, want) || f.Len() != len(want) {
			t.Errorf("%s: %v, %d; want %v", name, got, f.Len(), want)
		}
	}
}

func TestHidden(t *testing.T) {
	f, err := Read(strings.NewReader("00000000 T one\n0000000000000000 t two\n"))
	if err != nil || f.Len() != 2 || names(f) != nil {
		t.Errorf("%v, %v; want two without addresses", names(f), err)
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
	first, err := Of(path)
	if err != nil {
		t.Fatal(err)
	}
	if second, _ := Of(path); second != first {
		t.Error("it was read twice")
	}
	Forget()
	if third, _ := Of(path); third == first {
		t.Error("it was not forgotten")
	}
}

// BenchmarkRead is what one reading costs, and what each further question costs.
func BenchmarkRead(b *testing.B) {
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			Forget()
			if _, err := Of(Path); err != nil {
				b.Skip(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		f, err := Of(Path)
		if err != nil {
			b.Skip(err)
		}
		for b.Loop() {
			for range f.All() {
			}
		}
	})
}
