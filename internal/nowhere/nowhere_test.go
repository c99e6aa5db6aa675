// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package nowhere

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax/syntaxtest"
	"safeload/kmod"
)

// room is a tree and a configuration for one question.
type room struct{ root, tree, config string }

func newRoom(t testing.TB) room {
	root := t.TempDir()
	r := room{root, filepath.Join(root, "lib/modules/v"), filepath.Join(root, "conf")}
	for _, dir := range []string{r.tree, r.config} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

var indexFiles = []string{"modules.dep.bin", "modules.alias.bin", "modules.builtin.bin", "modules.builtin.alias.bin", "modules.symbols.bin"}

func (r room) write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// arguments lays out argc, argv and an environment as the kernel does.
func arguments(args, env []string) (sp unsafe.Pointer, keep []*byte) {
	c := func(s string) *byte { return &append([]byte(s), 0)[0] }
	words := []*byte{(*byte)(unsafe.Add(unsafe.Pointer(nil), len(args)))}
	for _, list := range [][]string{args, env} {
		for _, s := range list {
			words = append(words, c(s))
		}
		words = append(words, nil)
	}
	return unsafe.Pointer(&words[0]), words
}

func (r room) asks(name string) []string {
	return []string{"modprobe", "-q", "-d", r.root, "-S", "v", "-C", r.config, "--", name}
}

// check holds the answer to kmod's, and tells what it was.
func (r room) check(t testing.TB, name string) (nowhere bool) {
	t.Helper()
	sp, keep := arguments(r.asks(name), []string{"HOME=/", "TERM=linux"})
	q, ok := asked(sp)
	_ = keep
	if !ok || !q.nowhere() {
		return false
	}
	said := ""
	c := kmod.New(kmod.Options{Dir: r.tree, ConfigPaths: []string{r.config}, Log: func(level int, _, message string) {
		if level <= kmod.LogErr {
			said += message
		}
	}})
	list, err := c.Lookup(name)
	if len(list) != 0 || err != kmod.ErrNotFound || said != "" {
		t.Fatalf("%q is said to be nowhere; kmod finds %d modules, error %v, and says %q", name, len(list), err, said)
	}
	return true
}

func TestNowhere(t *testing.T) {
	for _, c := range []struct {
		what, config, name string
		want               bool
	}{
		{"an empty configuration", "", "nothing", true},
		{"dashes", "alias a-b c\n", "x-c", true},
		{"an alias with dashes", "alias a-b c\n", "a_b", false},
		{"an alias, asked with dashes", "alias a_b c\n", "a-b", false},
		{"a pattern", "alias no* c\n", "nothing", false},
		{"an install command", "install nothing /bin/true\n", "nothing", false},
		{"a remove command", "remove nothing /bin/true\n", "nothing", false},
		{"lines that do not matter", "# x\n\noptions nothing a=1\nblacklist nothing\nsoftdep nothing pre: x\n", "nothing", true},
		{"a line that goes on", "alias \\\nnothing \\\n x\n", "nothing", false},
		{"another line that goes on", "options a \\\n  b=1\n", "nothing", true},
		{"a NUL", "alias nothing\x00 x\n", "nothing", false},
		{"a directive that kmod does not know", "alas a b\n", "nothing", false},
		{"a directive without a value", "options a\n", "nothing", false},
		{"a deprecated one", "include x\n", "nothing", false},
		{"no newline at the end", "alias nothing x", "nothing", false},
		{"in the indexes", "", "abc", false},
		{"by a pattern of an index", "", "axxc", false},
		{"a bracket", "", "a[b]", false},
		{"a slash", "", "./nothing", false},
		{"a colon", "", "pci:nothing", true},
		{"a symbol", "", "symbol:nothing", true},
		{"longer than is kept", "", strings.Repeat("x", 129), false},
		{"as long as is kept", "", strings.Repeat("x", 128), true},
		{"no name", "", "", false},
	} {
		r := newRoom(t)
		for _, f := range indexFiles {
			r.write(t, filepath.Join(r.tree, f), syntaxtest.Index())
		}
		r.write(t, filepath.Join(r.config, "a.conf"), []byte(c.config))
		if got := r.check(t, c.name); got != c.want {
			t.Errorf("%s: %q is nowhere: %v, want %v", c.what, c.name, got, c.want)
		}
	}
}

func mkfifo(path string) error { return unix.Mkfifo(path, 0o644) }

// TestFiles: what is no plain file is left to kmod.
func TestFiles(t *testing.T) {
	for _, c := range []struct {
		what string
		make func(r room) error
		want bool
	}{
		{"no tree", func(r room) error { return os.RemoveAll(r.tree) }, true},
		{"no configuration", func(r room) error { return os.RemoveAll(r.config) }, true},
		{"a link to /dev/null", func(r room) error { return os.Symlink("/dev/null", r.config+"/a.conf") }, true},
		{"a link to /dev/zero", func(r room) error { return os.Symlink("/dev/zero", r.config+"/a.conf") }, false},
		{"a link to nowhere", func(r room) error { return os.Symlink("/nowhere", r.config+"/a.conf") }, false},
		{"a directory", func(r room) error { return os.Mkdir(r.config+"/a.conf", 0o755) }, false},
		{"a FIFO", func(r room) error { return mkfifo(r.config + "/a.conf") }, false},
		{"a FIFO as softdep", func(r room) error { return mkfifo(r.tree + "/modules.softdep") }, false},
		{"a FIFO as an index", func(r room) error { return mkfifo(r.tree + "/modules.dep.bin") }, false},
		{"another name", func(r room) error { return os.WriteFile(r.config+"/a.txt", []byte("alias nothing x\n"), 0o644) }, true},
		{"a hidden name", func(r room) error { return os.WriteFile(r.config+"/.a.conf", []byte("alias nothing x\n"), 0o644) }, true},
		{"a large file", func(r room) error { return os.WriteFile(r.config+"/a.conf", make([]byte, 70<<10), 0o644) }, false},
		{"an alias among the soft dependencies", func(r room) error {
			return os.WriteFile(r.tree+"/modules.softdep", []byte("alias nothing x\n"), 0o644)
		}, false},
		{"a file instead of a directory", func(r room) error {
			_ = os.Remove(r.config)
			return os.WriteFile(r.config, []byte("alias nothing x\n"), 0o644)
		}, false},
		{"a short index", func(r room) error { return os.WriteFile(r.tree+"/modules.dep.bin", []byte("x"), 0o644) }, false},
		{"many files", func(r room) error {
			for i := range 2000 {
				if err := os.WriteFile(fmt.Sprintf("%s/%0200d.conf", r.config, i), nil, 0o644); err != nil {
					return err
				}
			}
			return nil
		}, false},
	} {
		r := newRoom(t)
		if err := c.make(r); err != nil {
			t.Fatal(err)
		}
		if got := r.check(t, "nothing"); got != c.want {
			t.Errorf("%s: nowhere is %v, want %v", c.what, got, c.want)
		}
	}
}

func TestAsked(t *testing.T) {
	for _, c := range []struct {
		args, env string
		want      bool
	}{
		{"modprobe -q -- x", "", true},
		{"/sbin/modprobe -q x", "HOME=/", true},
		{"modprobe -q -n x", "", true},
		{"modprobe -q -- x", "MODPROBE_OPTIONS=-v", false},
		{"modprobe -q -- x", "KMOD_LOG=7", false},
		{"modprobe -q -- x", "MAIL=x KDE=y", true},
		{"modprobe x", "", false},
		{"modprobe -q", "", false},
		{"modprobe -q -- x y", "", false},
		{"modprobe -q x -v", "", false},
		{"modprobe -qv x", "", false},
		{"modprobe -q -d rel x", "", false},
		{"modprobe -q -C a -C b x", "", false},
		{"modprobe -q -S", "", false},
		{"modprobe -r -q x", "", false},
		{"insmod -q x", "", false},
		{"modprobe -q - ", "", false},
		{"modprobe -q -- -x", "", true},
	} {
		sp, keep := arguments(strings.Fields(c.args), strings.Fields(c.env))
		if _, ok := asked(sp); ok != c.want {
			t.Errorf("%s with %s: %v, want %v", c.args, c.env, ok, c.want)
		}
		_ = keep
	}
}

// TestRandom asks for random names of random configurations: see check.
func TestRandom(t *testing.T) {
	const rounds = 400
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"alias", "install", "remove", "options", "softdep", "weakdep", "blacklist", "include", "#", "a", "b-c", "b_c",
		"*", "a*", "?", "[ab]", "[", "]", "x", "pre:", "\\\n", "\\", "\t", "a=1", "abc", "pci:*"}
	names := []string{"a", "b", "b-c", "b_c", "x", "ab", "abc", "a1", "pci:1", "zz", "symbol:a"}
	yes := 0
	for range rounds {
		r := newRoom(t)
		for _, f := range indexFiles {
			if random.IntN(3) == 0 {
				index := syntaxtest.Index()
				if random.IntN(4) == 0 {
					index[random.IntN(len(index))] ^= byte(1 << random.IntN(8))
				}
				r.write(t, filepath.Join(r.tree, f), index)
			}
		}
		for i := range random.IntN(3) {
			var text strings.Builder
			for range random.IntN(3) {
				for range 1 + random.IntN(4) {
					text.WriteString(words[random.IntN(len(words))] + " ")
				}
				text.WriteString("\n")
			}
			r.write(t, filepath.Join(r.config, fmt.Sprint(i, ".conf")), []byte(text.String()))
		}
		for _, n := range names {
			if r.check(t, n) {
				yes++
			}
		}
	}
	if yes < rounds {
		t.Errorf("of %d questions only %d were answered", rounds*len(names), yes)
	}
}

// FuzzNowhere: see check.
func FuzzNowhere(f *testing.F) {
	f.Add(syntaxtest.Index(), []byte("alias a b\nblacklist c\noptions d e=1 \\\n f=2\ninstall g x\n"), "nothing")
	f.Add([]byte{}, []byte("softdep x  pre: y\n#c\nalias [a-c]* d\n"), "b-d")
	r := newRoom(f)
	f.Fuzz(func(t *testing.T, index, config []byte, name string) {
		if strings.IndexByte(name, 0) >= 0 {
			return
		}
		for _, file := range indexFiles {
			r.write(t, filepath.Join(r.tree, file), index)
		}
		r.write(t, filepath.Join(r.tree, "modules.softdep"), config)
		r.write(t, filepath.Join(r.config, "a.conf"), config)
		r.check(t, name)
	})
}
