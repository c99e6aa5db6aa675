// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"os"
	"path/filepath"
	"testing"
)

// Each line is another invocation's.
func TestSaid(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	line := func(now int64) (uint64, bool) {
		r := New(dir)
		defer r.Close()
		return r.mayLog(now)
	}
	const start = int64(1e9)
	written, before := 0, uint64(0)
	for i := range int64(100) {
		unsaid, ok := line(start + i*1e6)
		if before += unsaid; ok {
			written++
		}
	}
	if written != saidMost || before != 0 {
		t.Errorf("%d lines of 100 written, want %d; %d said to be missing", written, saidMost, before)
	}
	if unsaid, ok := line(start + saidTime); !ok || unsaid != 100-saidMost {
		t.Errorf("a minute later: written %v, %d said to be missing, want %d", ok, unsaid, 100-saidMost)
	}
	if unsaid, ok := line(start + saidTime + 1); !ok || unsaid != 0 {
		t.Errorf("then: written %v, %d said to be missing again", ok, unsaid)
	}
	fi, err := os.Stat(filepath.Join(dir, saidFile))
	if err != nil || fi.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", fi.Mode(), err)
	}
	// What somebody's editor left there, and what is no file.
	if err := os.WriteFile(filepath.Join(dir, saidFile), []byte("x y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if unsaid, ok := line(start); !ok || unsaid != 0 {
		t.Errorf("damaged: written %v, %d said to be missing", ok, unsaid)
	}
	if err := os.Remove(filepath.Join(dir, saidFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(dir, saidFile)); err != nil {
		t.Fatal(err)
	}
	if _, ok := line(start); !ok {
		t.Error("a link in its place keeps lines from being written")
	}
}

func FuzzSaid(f *testing.F) {
	f.Add([]byte("1 2 3\n"), int64(5))
	f.Fuzz(func(t *testing.T, b []byte, now int64) {
		s := parseSaid(b)
		s.add(max(1, now))
		if again := parseSaid(s.format()); s.since < 1<<62 && again != s {
			t.Errorf("%+v became %+v", s, again)
		}
	})
}
