// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"safeload/internal/rig/kernels"
)

// TestOffered: a kernel is left out where the mirrors have no such suite, and for nothing else that goes wrong.
func TestOffered(t *testing.T) {
	k, err := kernels.Find("arm-newest")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what, update string
		fails        bool
	}{
		{"no such suite", `echo "E: The repository 'http://m.example x Release' does not have a Release file."; exit 100`, false},
		{"a suite without such a kernel", `mkdir -p "${APT_CONFIG%/etc/*}/state/lists"; : >"${APT_CONFIG%/etc/*}/state/lists/m_Packages"; echo Hit:1`, false},
		{"no network", "echo 'W: Failed to fetch http://m.example'", true},
		{"no disk", "echo 'E: Write error - write (28: No space left on device)'; exit 100", true},
	} {
		dir := t.TempDir()
		for name, script := range map[string]string{
			"apt-get":   "case $1 in indextargets) echo 'Debian|http://m.example/debian/|bookworm|main' ;; update) " + tt.update + " ;; esac",
			"apt-cache": ":",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		kitchen := newKitchen(Options{Repo: t.TempDir(), Cache: t.TempDir()}, t.TempDir(), t.Logf)
		if err := kitchen.cache.Prepare(); err != nil {
			t.Fatal(err)
		}
		if offered, err := kitchen.offered(t.Context(), k); offered || (err != nil) != tt.fails {
			t.Errorf("%s: %v, %v", tt.what, offered, err)
		}
	}
}

// TestMigrateTo: QEMU gives what follows exec: to a shell.
func TestMigrateTo(t *testing.T) {
	file := filepath.Join(t.TempDir(), `it's "a" $(cache), \ and more`)
	var command struct{ Arguments struct{ URI string } }
	if err := json.Unmarshal([]byte(migrateTo(file)), &command); err != nil {
		t.Fatal(err)
	}
	shell, ok := strings.CutPrefix(command.Arguments.URI, "exec:")
	sh := exec.Command("sh", "-c", shell)
	sh.Stdin = strings.NewReader("state")
	if out, err := sh.CombinedOutput(); !ok || err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "state" {
		t.Errorf("%q, %v", text, err)
	}
}
