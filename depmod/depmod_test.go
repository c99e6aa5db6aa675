// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safeload/kmod"
)

// object is a 64-bit module with lines of .modinfo and symbols.
func object(info, exports, needs []string) []byte {
	le := binary.LittleEndian
	names, symbols := []byte{0}, make([]byte, 24)
	symbol := func(name string, section uint16) {
		s := make([]byte, 24)
		le.PutUint32(s, uint32(len(names)))
		s[4] = 1 << 4
		le.PutUint16(s[6:], section)
		symbols, names = append(symbols, s...), append(append(names, name...), 0)
	}
	for _, s := range exports {
		symbol("__crc_"+s, 0xfff1)
	}
	for _, s := range needs {
		symbol(s, 0)
	}
	modinfo := []byte(strings.Join(info, "\x00") + "\x00")
	sections := []struct {
		name string
		data []byte
	}{{".modinfo", modinfo}, {".symtab", symbols}, {".strtab", names}, {".shstrtab", []byte("\x00.modinfo\x00.symtab\x00.strtab\x00.shstrtab\x00")}}
	b := make([]byte, 64)
	headers := make([]byte, 64)
	for _, s := range sections {
		h := make([]byte, 64)
		le.PutUint32(h, uint32(bytes.Index(sections[3].data, []byte(s.name))))
		le.PutUint64(h[24:], uint64(len(b)))
		le.PutUint64(h[32:], uint64(len(s.data)))
		b, headers = append(b, s.data...), append(headers, h...)
	}
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint64(b[40:], uint64(len(b)))
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], 5)
	le.PutUint16(b[62:], 4)
	return append(b, headers...)
}

// tree makes a system with a module tree for 6.1 and returns its root.
func tree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	root := t.TempDir()
	for name, b := range files {
		path := filepath.Join(root, "lib/modules/6.1", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func depmod(t *testing.T, args ...string) (stdout string, code int) {
	t.Helper()
	var out bytes.Buffer
	code = Main(Env{Args: append([]string{"depmod"}, args...), Stdout: &out, Version: "x\n"})
	return out.String(), code
}

func some() map[string][]byte {
	return map[string][]byte{
		"modules.order":           []byte("kernel/b-b.ko\nkernel/a.ko\n"),
		"modules.builtin":         []byte("kernel/fs/in-side.ko\n"),
		"modules.builtin.modinfo": []byte("inside.license=GPL\x00inside.alias=fs-inside\x00"),
		"kernel/a.ko":             object([]string{"alias=pci:v*[0-9]", "softdep=pre: x", "weakdep=y"}, []string{"a_one", "a_two"}, nil),
		"kernel/b-b.ko":           object([]string{"alias=devname:bee", "alias=char-major-10-7"}, []string{"b_one"}, []string{"a_two", "printk"}),
		"kernel/c.ko":             object([]string{"alias=x-y"}, nil, []string{"b_one"}),
	}
}

func TestIndexes(t *testing.T) {
	root := tree(t, some())
	if _, code := depmod(t, "-b", root, "-C", "/dev/null", "6.1"); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	dir := filepath.Join(root, "lib/modules/6.1")
	for name, want := range map[string]string{
		"modules.dep":     "kernel/b-b.ko: kernel/a.ko\nkernel/a.ko:\nkernel/c.ko: kernel/b-b.ko kernel/a.ko\n",
		"modules.alias":   "# Aliases extracted from modules themselves.\nalias devname:bee b_b\nalias char-major-10-7 b_b\nalias pci:v*[0-9] a\nalias x-y c\n",
		"modules.softdep": "# Soft dependencies extracted from modules themselves.\nsoftdep a pre: x\n",
		"modules.weakdep": "# Weak dependencies extracted from modules themselves.\nweakdep a y\n",
		"modules.devname": "# Device nodes to trigger on-demand module loading.\nb_b bee c10:7\n",
	} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(b) != want {
			t.Errorf("%s: %q, %v; want %q", name, b, err, want)
		}
	}
	for _, c := range []struct{ index, key, want string }{
		{"modules.dep.bin", "c", "kernel/c.ko: kernel/b-b.ko kernel/a.ko"},
		{"modules.alias.bin", "x_y", "c"},
		{"modules.alias.bin", "pci:v*[0-9]", "a"},
		{"modules.symbols.bin", "symbol:a_two", "a"},
		{"modules.builtin.bin", "in_side", ""},
		{"modules.builtin.alias.bin", "fs_inside", "inside"},
	} {
		ix, err := kmod.OpenIndex(filepath.Join(dir, c.index))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := ix.Search(c.key); !ok || got != c.want {
			t.Errorf("%s: %s is %q, %v; want %q", c.index, c.key, got, ok, c.want)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".modules*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What has no value has an empty one, and is not its own.
func TestNoValue(t *testing.T) {
	root := tree(t, map[string][]byte{"k.ko": object([]string{"alias", "softdep", "weakdep", "alias=x"}, nil, nil)})
	out, code := depmod(t, "-b", root, "-C", "/dev/null", "-n", "6.1")
	for _, want := range []string{"\nalias  k\nalias x k\n", "\nsoftdep k \n", "\nweakdep k \n"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, %q; want %q", code, out, want)
		}
	}
}

// A list that is a directory is an empty one to kmod, but for modules.builtin.modinfo, whose index fails.
func TestListsThatAreDirectories(t *testing.T) {
	files := some()
	for _, name := range []string{"modules.order", "modules.builtin", "modules.builtin.modinfo"} {
		delete(files, name)
		files[name+"/x"] = nil
	}
	root := tree(t, files)
	for _, args := range [][]string{{"-E", "/"}, {"-F", "/"}, nil} {
		if _, code := depmod(t, append(args, "-b", root, "-C", "/dev/null", "-n", "6.1")...); code != 0 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	if _, code := depmod(t, "-b", root, "-C", "/dev/null", "6.1"); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for name, want := range map[string]string{"modules.dep": "", "modules.builtin.bin": "\xb0\x07\xf4\x57\x00\x02\x00\x01\x00\x00\x00\x0c"} {
		if b, err := os.ReadFile(filepath.Join(root, "lib/modules/6.1", name)); err != nil || want != "" && string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// What cannot be in an index ends the program, as in kmod, behind the indexes
// that were made before.
func TestBadCharacter(t *testing.T) {
	files := some()
	files["kernel/d.ko"] = object([]string{"alias=\xff"}, nil, nil)
	files["modules.alias.bin"] = []byte("old")
	root := tree(t, files)
	if _, code := depmod(t, "-b", root, "-C", "/dev/null", "6.1"); code != 1 {
		t.Fatalf("exit code %d", code)
	}
	dir := filepath.Join(root, "lib/modules/6.1/")
	if b, err := os.ReadFile(dir + "/modules.alias.bin"); err != nil || string(b) != "old" {
		t.Errorf("modules.alias.bin: %q, %v", b, err)
	}
	if _, err := os.Stat(dir + "/modules.dep"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/modules.symbols"); err == nil {
		t.Error("modules.symbols was made")
	}
}

func TestPriority(t *testing.T) {
	for name, c := range map[string]struct{ config, want string }{
		"updates first": {"", "updates/a.ko"},
		"built-in":      {"search built-in updates\n", "kernel/a.ko"},
		"override":      {"override a * kernel\n", "kernel/a.ko"},
		"other kernel":  {"override a ^5 kernel\n", "updates/a.ko"},
		"exclude":       {"exclude updates\n", "kernel/a.ko"},
	} {
		t.Run(name, func(t *testing.T) {
			a := object(nil, nil, nil)
			root := tree(t, map[string][]byte{"kernel/a.ko": a, "updates/a.ko": a})
			conf := filepath.Join(root, "a.conf")
			if err := os.WriteFile(conf, []byte(c.config), 0o644); err != nil {
				t.Fatal(err)
			}
			out, code := depmod(t, "-n", "-b", root, "-C", conf, "6.1")
			if first, _, _ := strings.Cut(out, "\n"); code != 0 || first != c.want+":" {
				t.Errorf("%q, %d; want %s", first, code, c.want)
			}
		})
	}
}

// A loop that does not lead back to where the search begins makes kmod search
// for ever.
func TestLoops(t *testing.T) {
	root := tree(t, map[string][]byte{
		"d.ko": object(nil, []string{"d"}, []string{"e", "a"}), "e.ko": object(nil, []string{"e"}, []string{"d"}),
		"a.ko": object(nil, []string{"a"}, []string{"b"}), "b.ko": object(nil, []string{"b"}, []string{"c"}),
		"c.ko": object(nil, []string{"c"}, []string{"b"}),
	})
	if _, code := depmod(t, "-b", root, "-C", "/dev/null", "6.1"); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(root + "/lib/modules/6.1/modules.dep"); err == nil {
		t.Error("indexes were made")
	}
}

func TestQuick(t *testing.T) {
	root := tree(t, some())
	dep := root + "/lib/modules/6.1/modules.dep"
	if _, code := depmod(t, "-b", root, "-C", "/dev/null", "6.1"); code != 0 {
		t.Fatal(code)
	}
	if err := os.WriteFile(dep, []byte("mark"), 0o644); err != nil {
		t.Fatal(err)
	}
	marked := func() bool {
		if _, code := depmod(t, "-A", "-b", root, "-C", "/dev/null", "6.1"); code != 0 {
			t.Fatal(code)
		}
		b, _ := os.ReadFile(dep)
		return string(b) == "mark"
	}
	if !marked() {
		t.Error("made anew though nothing is newer")
	}
	st, err := os.Stat(dep)
	if err != nil {
		t.Fatal(err)
	}
	newer := st.ModTime().Add(1) // a nanosecond
	if err := os.Chtimes(root+"/lib/modules/6.1/kernel/a.ko", newer, newer); err != nil {
		t.Fatal(err)
	}
	if marked() {
		t.Error("not made anew though a module is newer")
	}
}

func TestTrie(t *testing.T) {
	tr := &trie{}
	keys := []string{"", "a", "ab", "abc", "b", "abd", "zebra"}
	for i, k := range keys {
		if _, bad := tr.add(k, fmt.Sprint(i), i); bad != nil {
			t.Fatal(bad)
		}
	}
	if _, bad := tr.add("é", "", 0); bad == nil {
		t.Error("took what is not ASCII")
	}
	b, err := tr.write()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.bin")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	ix, err := kmod.OpenIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if got, ok := ix.Search(k); !ok || got != fmt.Sprint(i) {
			t.Errorf("%q is %q, %v", k, got, ok)
		}
	}
	if _, ok := ix.Search("abcd"); ok {
		t.Error("found what is not in it")
	}
}

func FuzzModule(f *testing.F) {
	f.Add(some()["kernel/b-b.ko"])
	f.Add(some()["kernel/b-b.ko"][:300])
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "m.ko")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var r reader
		defer r.room.Free()
		if c := r.read(path); len(c.needs) > len(data) {
			t.Fatal("needs more symbols than the file has bytes")
		}
	})
}
