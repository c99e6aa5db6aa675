// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whoever made the pin directory first is moved away; what is root's stays. The
// same in a real bpffs is scripts/vm/cases/probe-guard.sh.
func TestClaim(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("makes other users' files: needs root")
	}
	for _, c := range []struct {
		name  string
		put   func(dir string) error
		moved bool
	}{
		{"nothing", func(string) error { return nil }, false},
		{"root's", func(d string) error { return os.Mkdir(d, 0o700) }, false},
		{"another's", func(d string) error {
			if err := os.MkdirAll(d+"/1-1", 0o700); err != nil {
				return err
			}
			return os.Chown(d, 1000, 1000)
		}, true},
		{"open to all", func(d string) error {
			if err := os.Mkdir(d, 0o700); err != nil {
				return err
			}
			return os.Chmod(d, 0o777)
		}, true},
		{"a link", func(d string) error { return os.Symlink("/etc", d) }, true},
		{"a pipe", func(d string) error { return unix.Mkfifo(d, 0o600) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			if err := os.Chmod(parent, 0o777|os.ModeSticky); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(parent, "safeload")
			if err := c.put(dir); err != nil {
				t.Fatal(err)
			}
			if err := claim(dir); err != nil {
				t.Fatal(err)
			}
			if !rootsAlone(dir, false) {
				t.Error("it is not root's alone")
			}
			all, err := os.ReadDir(parent)
			if err != nil {
				t.Fatal(err)
			}
			away := 0
			for _, e := range all {
				if strings.HasPrefix(e.Name(), "safeload-not-ours-") {
					away++
				}
			}
			if (away == 1) != c.moved || away > 1 {
				t.Errorf("%d were moved away", away)
			}
		})
	}
	// Where others can rename what is root's, nothing is claimed.
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := claim(filepath.Join(parent, "safeload")); err == nil {
		t.Error("a directory that anybody can replace was taken")
	}
}
