// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestInsmods(t *testing.T) {
	const said = `builtin aes_generic
insmod /c/lib/modules/v/kernel/crypto/b.ko
insmod /c/lib/modules/v/kernel/crypto/a.ko alg=1
insmod /c/lib/modules/v/kernel/crypto/b.ko
insmod /other/x.ko
install /bin/true
`
	got := insmods(said, "/c/lib/modules/v")
	if !slices.Equal(got, []string{"kernel/crypto/a.ko", "kernel/crypto/b.ko"}) {
		t.Errorf("%q", got)
	}
}

// Every name in a case's field "extra" is one that there is.
func TestExtras(t *testing.T) {
	cases, err := LoadCases("../../scripts/vm/cases")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, c := range cases {
		for _, name := range c.Extra {
			used[name] = true
			if extras[name] == nil {
				t.Errorf("case %s: there is no extra %s", c.Name, name)
			}
		}
		for _, name := range c.Copies {
			if len(name) != 2 {
				t.Errorf("case %s: copies: %s has not two characters", c.Name, name)
			}
		}
	}
	for name := range extras {
		if !used[name] {
			t.Errorf("no case wants the extra %s", name)
		}
	}
}

func TestCopySlreq(t *testing.T) {
	dir := t.TempDir()
	i := &image{p: Prepared{testModules: dir}}
	if err := os.WriteFile(filepath.Join(dir, "slreq_00.ko"), []byte("\x7fELF slreq_00\x00name=slreq_00\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "out.ko")
	if err := i.copySlreq("a1", to); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(to); !bytes.Equal(got, []byte("\x7fELF slreq_a1\x00name=slreq_a1\x00")) {
		t.Errorf("%q", got)
	}
	if err := i.copySlreq("long", to); err == nil {
		t.Error("a name of four characters gave no error")
	}
}

func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	if err := os.MkdirAll(filepath.Join(from, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(from, "d/f"), []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"link": "d/f", "nowhere": "none"} {
		if err := os.Symlink(target, filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(from, to, keepLink); err != nil {
		t.Fatal(err)
	}
	if link, err := os.Readlink(filepath.Join(to, "nowhere")); err != nil || link != "none" {
		t.Errorf("%q, %v", link, err)
	}
	if info, err := os.Stat(filepath.Join(to, "d/f")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	followed := to + "2"
	if err := copyTree(from, followed, followLink); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(followed, "link")); err != nil || strings.TrimSpace(string(text)) != "x" {
		t.Errorf("%q, %v", text, err)
	}
	if there(filepath.Join(followed, "nowhere")) {
		t.Error("a link to nowhere was followed")
	}
}
