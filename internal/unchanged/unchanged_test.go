// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package unchanged

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAnswered(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "lib/modules/6.1.0")
	old := time.Unix(1_700_000_000, 5)
	put := func(name string, at time.Time) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		return path
	}
	put("modules.dep", old)
	put("kernel/a.ko", old)
	put("kernel/sub/b.ko.xz", old.Add(-1))
	put("kernel/new.txt", old.Add(time.Hour))
	put("build/c.ko", old.Add(time.Hour))
	for _, c := range []struct {
		want bool
		argv []string
	}{
		{true, []string{"/sbin/depmod", "-A", "-b", root, "6.1.0"}},
		{true, []string{"safeload", "depmod", "-a", "--basedir", root, "--quick", "6.1.0"}},
		{false, []string{"depmod", "-b", root, "6.1.0"}},
		{false, []string{"depmod", "-a", "-b", root, "6.1.0"}},
		{false, []string{"depmod", "-A", "-n", "-b", root, "6.1.0"}},
		{false, []string{"depmod", "-A", "-b", root, "6.1.0", "/x.ko"}},
		{false, []string{"depmod", "-A", "-b", root, "x6.1.0"}},
		{false, []string{"depmod", "-A", "-b", root, "6.1.0/../6.1.0"}},
		{false, []string{"depmod", "-A", "-b", "." + root, "6.1.0"}},
		{false, []string{"depmod", "-A", "-b", root, ""}},
		{false, []string{"depmod", "-A", "-b"}},
		{false, []string{"depmod", "-A", "-b", root, "6.2.0"}},
		{false, []string{"modprobe", "-A", "-b", root, "6.1.0"}},
		{false, []string{"safeload", "-A", "-b", root, "6.1.0"}},
		{false, []string{"safeload"}},
		{false, nil},
	} {
		if got := answered(c.argv); got != c.want {
			t.Errorf("%q: %v", c.argv, got)
		}
	}
	argv := []string{"depmod", "-A", "-b", root, "6.1.0"}
	for name, make := range map[string]func() string{
		"a module that is newer by a nanosecond": func() string { return put("kernel/sub/n.ko", old.Add(1)) },
		"a link": func() string {
			path := filepath.Join(dir, "kernel/l.ko")
			if err := os.Symlink("a.ko", path); err != nil {
				t.Fatal(err)
			}
			return path
		},
	} {
		path := make()
		if answered(argv) {
			t.Errorf("%s: answered", name)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if !answered(argv) {
			t.Errorf("without %s: not answered", name)
		}
	}
}
