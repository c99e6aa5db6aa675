// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLoadWithoutFile(t *testing.T) {
	err := Load(filepath.Join(t.TempDir(), "absent.ko"), "absent", "", 0)
	var e *Error
	if !errors.As(err, &e) || e.Op != "open" || !errors.Is(err, unix.ENOENT) {
		t.Fatalf("got %v, want open … ENOENT", err)
	}
	if !strings.Contains(err.Error(), "absent.ko") {
		t.Errorf("%q does not name the file", err)
	}
}

func TestSniff(t *testing.T) {
	for name, want := range map[string]Format{
		"": Plain, "\x7fELF\x01\x01": Plain, "\x1f\x8b\x08": Gzip, "\x1f": Plain,
		"\xfd7zXZ\x00\x00": XZ, "\xfd7zXZ": Plain, "\x28\xb5\x2f\xfd": Zstd,
	} {
		file := filepath.Join(t.TempDir(), "m.ko")
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := Sniff(int(f.Fd()))
		if err != nil || got != want {
			t.Errorf("Sniff(%q) = %v, %v; want %v", name, got, err, want)
		}
	}
}
