// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReadyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ready")
	if err := ClearReady(path); err != nil {
		t.Errorf("none there: %v", err)
	}
	if err := MakeReady(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(b), strconv.Itoa(os.Getpid())+"\nstart ") {
		t.Errorf("ready file: %q, %v", b, err)
	}
	if err := MakeReady(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a ready file that exists: %v", err)
	}
	if err := ClearReady(path); err != nil {
		t.Errorf("our own: %v", err)
	}
	live, err := keeper(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"of a process that runs", live, false},
		{"of one that had its pid", strings.Replace(live, "start ", "start 1", 1), true},
		{"of another boot", strings.Replace(live, "boot ", "boot x", 1), true},
		{"of one that was killed", "4194305\nstart 7\nboot x\n", true},
		{"somebody's", "keep me\n", false},
		{"empty", "", false},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := ClearReady(path)
		_, there := os.Lstat(path)
		if (err == nil) != c.ok || (there != nil) != c.ok {
			t.Errorf("%s: %v, and then %v", c.name, err, there)
		}
	}
	os.Remove(path)
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if ClearReady(path) == nil {
		t.Error("a link was followed")
	}
	os.Remove(path)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := unix.Open(path, unix.O_RDWR, 0) // a writer that says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(w)
	if ClearReady(path) == nil {
		t.Error("a FIFO was taken for a ready file")
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
}
