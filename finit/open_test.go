// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A pipe in a module's place has no end that would be waited for.
func TestOpenPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.ko")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := new(Loader).Contents(path); err == nil {
		t.Errorf("%d bytes were read from a pipe", len(b))
	}
	if b, err := new(Loader).Contents("/dev/zero"); err == nil {
		t.Errorf("%d bytes were read from a device", len(b))
	}
}
