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
	err := new(Loader).Load(filepath.Join(t.TempDir(), "absent.ko"), "absent", "", 0)
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
		"": Plain, "\x7fELF\x01\x01": Plain, "\x1f\x8b\x08\x00\x00\x00": Gzip, "\x1f\x8b\x08": Plain,
		"\xfd7zXZ\x00\x00": XZ, "\xfd7zXZ\x01": Plain, "\x28\xb5\x2f\xfd\x00\x00": Zstd,
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
		var wantErr error
		if len(name) < 6 {
			wantErr = unix.EINVAL
		}
		if err != wantErr || got != want {
			t.Errorf("Sniff(%q) = %v, %v; want %v, %v", name, got, err, want, wantErr)
		}
	}
}
