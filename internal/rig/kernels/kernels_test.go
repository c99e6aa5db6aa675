// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"safeload/internal/rig/cache"
	"safeload/internal/rig/debian"
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Table {
		if seen[k.Key] || !strings.HasPrefix(k.Key, k.Arch+"-") || k.DebArch == "" || k.Series == "" || k.Flavour == "" {
			t.Errorf("%+v", k)
		}
		seen[k.Key] = true
	}
	if k, err := Find("arm-6.12"); err != nil || k.DebArch != "armhf" {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := Find("amd64-6.1"); err != nil || k.Series != "6.1" || k.Flavour != "amd64" {
		t.Errorf("%+v, %v", k, err)
	}
	for _, key := range []string{"arm-soon", "mips-6.12", "arm", "", "arm-6.1.2"} {
		if _, err := Find(key); err == nil || !strings.Contains(err.Error(), "arm-6.12") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestImages(t *testing.T) {
	for _, c := range []struct {
		key, name, release string
	}{
		{"arm-6.12", "linux-image-6.12.95+deb12-armmp", "6.12.95+deb12-armmp"},
		{"arm-6.12", "linux-image-6.12.9-armmp", "6.12.9-armmp"},
		{"arm-6.12", "linux-image-6.12.95+deb12-armmp-lpae", ""},
		{"arm-6.12", "linux-image-6.12.95+deb12-armmp-dbg", ""},
		{"arm-6.12", "linux-image-6.120.1+deb12-armmp", ""},
		{"arm-6.1", "linux-image-6.1.0-50-armmp", "6.1.0-50-armmp"},
		{"arm-6.1", "linux-image-6.12.95+deb12-armmp", ""},
		{"arm-6.1", "linux-image-armmp", ""},
		{"arm64-newest", "linux-image-7.0.3+deb14-arm64", "7.0.3+deb14-arm64"},
		{"arm64-newest", "linux-image-7.0.3+deb14-arm64-unsigned", ""},
		{"amd64-6.12", "linux-image-6.12.95+deb12-cloud-amd64", ""},
	} {
		k, err := Find(c.key)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if m := k.images().FindStringSubmatch(c.name); m != nil {
			got = m[1]
		}
		if got != c.release {
			t.Errorf("%s: %s is read as %q", c.key, c.name, got)
		}
	}
}

func TestHeaderPackages(t *testing.T) {
	p := debian.Package{Name: "linux-headers-6.12.95+deb12-armmp", Depends: []debian.Dependency{{"linux-headers-6.12.95+deb12-common"},
		{"linux-image-6.12.95+deb12-armmp", "linux-image-6.12.95+deb12-armmp-unsigned"}, {"linux-kbuild-6.12.95+deb12"}, {"linux-compiler-gcc-12-arm"}}}
	common, kbuild, err := headerPackages(p)
	if err != nil || common != "linux-headers-6.12.95+deb12-common" || kbuild != "linux-kbuild-6.12.95+deb12" {
		t.Errorf("%q, %q, %v", common, kbuild, err)
	}
	if _, _, err := headerPackages(debian.Package{Name: "x", Depends: p.Depends[:2]}); err == nil {
		t.Error("without kbuild there is no error")
	}
}

func TestTooNew(t *testing.T) {
	for said, want := range map[string]bool{
		"fixdep: /lib/libc.so.6: version `GLIBC_2.38' not found (required by fixdep)\n": true,
		"\tlibc.so.6 => /lib/libc.so.6 (0x1)\n":                                         false,
		"\tnot a dynamic executable\n":                                                  false,
		"\tlibelf.so.1 => not found\n":                                                  false,
	} {
		if tooNew(said) != want {
			t.Errorf("%q", said)
		}
	}
}

// TestStoreMemo: the note of the newest release is believed only if what it names is there.
func TestStoreMemo(t *testing.T) {
	k, err := Find("arm-6.12")
	if err != nil {
		t.Fatal(err)
	}
	other := k
	other.Flavour = "armmp-lpae"
	if k.Memo() == other.Memo() {
		t.Errorf("two flavours are noted in %s", k.Memo())
	}
	t.Setenv("PATH", t.TempDir()) // no apt: whoever asks it fails
	c := cache.Cache(t.TempDir())
	s := NewStore(t.TempDir(), c, t.Logf)
	memo, release := c.Path("kernels", k.Memo()), "6.12.9-armmp"
	if err := errors.Join(c.Prepare(), os.MkdirAll(filepath.Dir(memo), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, noted := range []string{"", release + "\n"} {
		if err := os.WriteFile(memo, []byte(noted), 0o644); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Get(t.Context(), k); err == nil || errors.Is(err, debian.ErrNotOffered) {
			t.Errorf("noted %q, of which nothing is there: %+v, %v", noted, b, err)
		}
	}
	if err := cache.Fill(s.dir(k, release), func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Get(t.Context(), k); err != nil || b.Release != release {
		t.Errorf("%+v, %v", b, err)
	}
}

// TestCopyLists: modules.builtin.modinfo alone may be missing.
func TestCopyLists(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, f := range []string{"modules.builtin", "modules.order"} {
		if err := os.WriteFile(filepath.Join(from, f), []byte(f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := CopyLists(from, to); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(to, "modules.order")); err != nil || string(text) != "modules.order" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.Remove(filepath.Join(from, "modules.builtin")); err != nil {
		t.Fatal(err)
	}
	if err := CopyLists(from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without modules.builtin: %v", err)
	}
}

// TestTestModulesSum: what is moved from one file to another is another state of the sources.
func TestTestModulesSum(t *testing.T) {
	sum := func(files map[string]string) string {
		s := &Store{Sources: t.TempDir()}
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(s.Sources, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.sourcesSum()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	one := sum(map[string]string{"a.c": "ab", "b.c": "c"})
	for _, other := range []map[string]string{{"a.c": "a", "b.c": "bc"}, {"a.c": "ab", "c.c": "c"}} {
		if sum(other) == one {
			t.Errorf("%q have the sum of others", other)
		}
	}
	if sum(map[string]string{"a.c": "ab", "b.c": "c"}) != one {
		t.Error("the same sources have two sums")
	}
}

func TestSeedPatch(t *testing.T) {
	const source = "static int init_module_from_file(struct file *f)\n{\n\tif (wait_for_completion_interruptible(&u->complete)) {\n\t\treturn -EINTR;\n\t}\n}\n"
	got, err := seedPatch([]byte(source))
	const want = "static __always_inline int init_module_from_file(struct file *f)\n{\n\twait_for_completion(&u->complete);\n\tif (0) {\n\t\treturn -EINTR;\n\t}\n}\n"
	if err != nil || string(got) != want {
		t.Errorf("%v:\n%s", err, got)
	}
	for _, other := range []string{"", source + source, strings.Replace(source, "interruptible", "killable", 1)} {
		if _, err := seedPatch([]byte(other)); err == nil {
			t.Errorf("%q was patched", other)
		}
	}
}

func TestQuote(t *testing.T) {
	if got := Quote("a'b"); got != `'a'\''b'` {
		t.Error(got)
	}
}

func TestCopyFile(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	if err := os.WriteFile(from, []byte("x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := CopyFile(from, to); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := CopyFile(filepath.Join(dir, "none"), to); err == nil {
		t.Error("no error for a file that is not there")
	}
}

// TestRunEnds: what a program has started ends with it.
func TestRunEnds(t *testing.T) {
	dir := t.TempDir()
	pid, over := filepath.Join(dir, "pid"), filepath.Join(dir, "over")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- run(ctx, dir, os.Stderr, "sh", "-c", `(sleep 20; echo over >over) & echo $! >new && mv new pid; wait`)
	}()
	var text []byte
	for text == nil {
		text, _ = os.ReadFile(pid)
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("a program that was ended has no error")
	}
	for stat, err := []byte(nil), error(nil); err == nil && !bytes.Contains(stat, []byte(") Z ")); time.Sleep(time.Millisecond) {
		stat, err = os.ReadFile("/proc/" + strings.TrimSpace(string(text)) + "/stat")
	}
	if _, err := os.Stat(over); err == nil {
		t.Error("its child went on")
	}
}
