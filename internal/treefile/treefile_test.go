// SPDX-License-Identifier: Apache-2.0

package treefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(at("plain"), []byte("text"), 0o600))
	must(os.Symlink("plain", at("link")))
	must(unix.Mkfifo(at("pipe"), 0o600))
	must(os.Symlink("pipe", at("to-pipe")))
	must(os.Symlink("/dev/zero", at("zero")))
	must(os.WriteFile(at("sparse"), nil, 0o600))
	must(os.Truncate(at("sparse"), 1<<40))
	for _, c := range []struct {
		name string
		want error
	}{
		{"plain", nil}, {"link", nil}, {"pipe", ErrNotRegular}, {"to-pipe", ErrNotRegular},
		{"zero", ErrNotRegular}, {"sparse", ErrTooLarge}, {".", ErrNotRegular}, {"none", fs.ErrNotExist},
	} {
		b, err := Read(at(c.name), 1<<20)
		if !errors.Is(err, c.want) || err == nil && string(b) != "text" {
			t.Errorf("%s: %q, %v, want %v", c.name, b, err, c.want)
		}
	}
	if b, err := Read("/proc/self/status", 1<<20); err != nil || len(b) == 0 {
		t.Errorf("a file of /proc: %q, %v", b, err)
	}
	if _, err := Read("/proc/self/status", 10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file of /proc over the limit: %v", err)
	}
}
