// SPDX-License-Identifier: Apache-2.0

package kmod_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/kmodtest"
	"safeload/kmod"
)

// tree is a module tree in a directory of its own.
func tree(t *testing.T) string {
	dir := t.TempDir()
	(&kmodtest.Tree{
		Modules: map[string][]string{"a": {"b", "c"}, "b": {"c"}, "c": nil, "d-e": nil, "f": nil},
		Aliases: [][2]string{{"pci:*", "f"}, {"pci:v1*", "a"}, {"pci:v[12]d*", "d_e"}, {"fs_x", "nomodule"}},
		Builtin: []string{"inside"},
		Files:   map[string]string{"modules.softdep": "softdep b pre: d-e\n"},
	}).Write(t, dir)
	return dir
}

func config(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func names(list []*kmod.Module) string {
	var s []string
	for _, m := range list {
		s = append(s, m.Name)
	}
	return strings.Join(s, " ")
}

func TestLookup(t *testing.T) {
	conf := config(t, map[string]string{"x.conf": "alias my-* a\nalias my-x f\ninstall only-cmd true\n"})
	c := kmod.New(kmod.Options{Dir: tree(t), ConfigPaths: []string{conf}})
	for name, want := range map[string]string{
		"a":        "a",
		"d-e":      "d_e",
		"d_e":      "d_e",
		"my-x":     "a f",
		"my_y":     "a",
		"pci:v1d2": "f a d_e",
		"pci:v2d":  "f d_e",
		"pci:":     "f",
		"only-cmd": "only_cmd",
		"inside":   "inside",
		"fs-x":     "nomodule",
		"nonesuch": "",
		"symbol:x": "",
		"":         "",
		"../a":     "",
	} {
		list, err := c.Lookup(name)
		var wantErr error
		if want == "" {
			wantErr = kmod.ErrNotFound
		}
		if got := names(list); err != wantErr || got != want {
			t.Errorf("Lookup(%q) = %q, %v, want %q, %v", name, got, err, want, wantErr)
		}
		if (want == "") != errors.Is(err, syscall.ENOENT) {
			t.Errorf("Lookup(%q): ENOENT in %v: %v", name, err, want != "")
		}
	}
	for _, name := range []string{"[", "a]", "[" + strings.Repeat("x", 4095), "[" + strings.Repeat("x", 4095) + "]"} {
		if list, err := c.Lookup(name); err == nil {
			t.Errorf("Lookup(%.10q…) = %q and no error", name, names(list))
		}
	}
}

func TestPlan(t *testing.T) {
	dir := tree(t)
	conf := config(t, map[string]string{
		"1.conf": "options a x=1\ninstall c echo c\noptions b\ty=\t2\nsoftdep f post: c pre: d-e\ninstall f echo f\n",
		"2.conf": "options a x=2\noptions alias-a z=3\nalias alias-a a\nsoftdep f pre: a\n",
	})
	c := kmod.New(kmod.Options{Dir: dir, ConfigPaths: []string{conf}})
	for name, want := range map[string]string{
		"a":       "c:echo c()! d_e()  b(y= 2 )! a(x=1 x=2 more)!",
		"alias-a": "c:echo c()! d_e()  b(y= 2 )! a(x=1 x=2 z=3 more)!",
		"f":       "d_e() f(more)! c:echo c()",
	} {
		list, err := c.Lookup(name)
		if err != nil || len(list) != 1 {
			t.Fatalf("Lookup(%s) = %q, %v", name, names(list), err)
		}
		var got []string
		for _, s := range list[0].Plan(false, "more") {
			text := s.Module.Name
			if s.HasCommand {
				text += ":" + s.Command
			}
			text += "(" + s.Options + ")"
			if s.Required {
				text += "!"
			}
			got = append(got, text)
		}
		if g, w := strings.Join(strings.Fields(strings.Join(got, " ")), " "), strings.Join(strings.Fields(want), " "); g != w {
			t.Errorf("plan for %s:\n got %s\nwant %s", name, g, w)
		}
		c.Forget()
	}
}

func TestMasking(t *testing.T) {
	first := config(t, map[string]string{"a.conf": "", "c.conf": "alias x first\n", "ignored": "alias x ignored\n", ".h.conf": "alias x hidden\n"})
	second := config(t, map[string]string{"a.conf": "alias x masked\n", "b.conf": "alias x second\n"})
	single := filepath.Join(config(t, map[string]string{"bb": "alias x single\nbad line\n"}), "bb")
	var log []string
	c := kmod.New(kmod.Options{Dir: tree(t), ConfigPaths: []string{first, second, single, "/nonesuch"},
		Log: func(level int, _, msg string) {
			if level <= kmod.LogErr {
				log = append(log, msg)
			}
		}})
	var got []string
	for _, a := range c.Config.Aliases {
		got = append(got, a.Value)
	}
	if g := strings.Join(got, " "); g != "second single first" {
		t.Errorf("aliases in the order %q", g)
	}
	if len(log) != 1 || !strings.HasSuffix(log[0], "bb line 2: ignoring bad line starting with 'bad'\n") {
		t.Errorf("messages: %q", log)
	}
}

func TestCmdline(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cmdline")
	if err := os.WriteFile(file, []byte("quiet e1000.debug=3 modprobe.blacklist=nbd,a-b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	options := kmod.Options{Dir: tree(t), ConfigPaths: []string{}, Cmdline: file}
	c := kmod.New(options).Config
	if len(c.Options) != 1 || c.Options[0] != (kmod.Directive{Name: "e1000", Value: "debug=3"}) || len(c.Blacklist) != 2 {
		t.Errorf("the command line gives %v and the blacklist %q", c.Options, c.Blacklist)
	}
	if err := os.WriteFile(file, []byte("m-a-b[.a=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said string
	options.Log = func(level int, _, message string) {
		if level == kmod.LogErr {
			said += message
		}
	}
	kmod.New(options)
	if want := "module name: 'm_a_b['\n"; !strings.HasSuffix(said, want) {
		t.Errorf("of a name with an open bracket it says %q, not …%q as libkmod", said, want)
	}
	options.Cmdline = os.DevNull
	if c := kmod.New(options).Config; len(c.Options)+len(c.Blacklist) != 0 {
		t.Errorf("without a command line: %v, %q", c.Options, c.Blacklist)
	}
}

// TestSeveral uses one Context in each of several goroutines: each has the
// whole of its own configuration and answers by it.
func TestSeveral(t *testing.T) {
	const goroutines, aliases = 4, 50
	dir := tree(t)
	var wg sync.WaitGroup
	for g := range goroutines {
		var text strings.Builder
		for i := range aliases {
			fmt.Fprintf(&text, "alias al-%d-%d target-%d-%d\n", g, i, g, i)
		}
		conf := config(t, map[string]string{"x.conf": text.String(), fmt.Sprintf("own-%d.conf", g): "blacklist b\n"})
		wg.Go(func() {
			c := kmod.New(kmod.Options{Dir: dir, ConfigPaths: []string{conf}})
			for i := range aliases {
				name := fmt.Sprintf("al-%d-%d", g, i)
				list, err := c.Lookup(name)
				if got, want := names(list), fmt.Sprintf("target_%d_%d", g, i); err != nil || got != want {
					t.Errorf("Lookup(%q) = %q, %v, want %q", name, got, err, want)
				}
				if list, err := c.Lookup("pci:v1d2"); names(list) != "f a d_e" {
					t.Errorf("an alias of the tree: %q, %v", names(list), err)
				}
				if _, err := c.Lookup("nonesuch"); err != kmod.ErrNotFound {
					t.Errorf("what is nowhere: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// TestDamaged cuts and spoils indexes: fewer answers, no fault.
func TestDamaged(t *testing.T) {
	dir := tree(t)
	good, err := os.ReadFile(filepath.Join(dir, "modules.dep.bin"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "short": good[:11], "header": good[:12], "half": good[:len(good)/2],
		"magic":   append([]byte("nonsense"), good[8:]...),
		"missing": nil,
	} {
		path := filepath.Join(dir, "modules.dep.bin")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if name == "missing" {
			os.Remove(path)
		}
		c := kmod.New(kmod.Options{Dir: dir, ConfigPaths: []string{"/nonesuch"}})
		if list, err := c.Lookup("zz"); err != kmod.ErrNotFound || list != nil {
			t.Errorf("%s: %q, %v", name, names(list), err)
		}
		if list, _ := c.Lookup("inside"); names(list) != "inside" {
			t.Errorf("%s: the other indexes are not used: %q", name, names(list))
		}
	}
}

// TestMissingDependency is a modules.dep that names files that are gone.
func TestMissingDependency(t *testing.T) {
	dir := tree(t)
	if err := os.Remove(filepath.Join(dir, "kernel/b.ko")); err != nil {
		t.Fatal(err)
	}
	c := kmod.New(kmod.Options{Dir: dir, ConfigPaths: []string{"/nonesuch"}})
	list, err := c.Lookup("a")
	if err != nil || len(list) != 1 || list[0].Deps() != nil || list[0].Path() != dir+"/kernel/a.ko" {
		t.Errorf("%v %v", names(list), err)
	}
}

// What is no regular file is passed over if that is asked for, and an index is
// never waited for.
func TestRegular(t *testing.T) {
	dir := t.TempDir()
	conf := dir + "/modprobe.d"
	if err := os.Mkdir(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"modules.softdep", "modprobe.d/a.conf", "modules.dep.bin", "modules.alias.bin"} {
		if err := unix.Mkfifo(dir+"/"+name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/zero", conf+"/b.conf"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf+"/c.conf", []byte("alias one two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := kmod.New(kmod.Options{Dir: dir, ConfigPaths: []string{conf}, Cmdline: os.DevNull, Regular: true})
	if n := len(c.Config.Aliases); n != 1 {
		t.Errorf("%d aliases are known, want that of the plain file", n)
	}
	if _, err := kmod.OpenIndex(dir + "/modules.dep.bin"); err == nil {
		t.Error("a pipe is an index")
	}
	if found, _ := c.Lookup("none"); len(found) != 0 {
		t.Error("a name is found in a pipe")
	}
}
