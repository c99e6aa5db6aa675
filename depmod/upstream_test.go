// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safeload/internal/kmodtest"
)

// What kmod's own test of depmod (testsuite/test-depmod.c) asks for, each under
// the name that it has there, with modules of our own.
func TestUpstream(t *testing.T) {
	simple := object([]string{"license=GPL"}, nil, nil)
	search := func(line string) map[string]string { return map[string]string{"search.conf": line + "\n"} }
	for _, c := range []struct {
		name, about string
		modules     map[string][]byte // below lib/modules/4.4.4, or from a slash on below the root
		config      map[string]string
		args        []string
		where       string // of the files that are wanted, below the root
		want        map[string]string
	}{
		{
			name:  "modules_order_for_compressed",
			about: "aliases are in the order of modules.order, which names modules as if they were not compressed",
			modules: map[string][]byte{
				"kernel/z.ko.gz": kmodtest.Gzip(t, object([]string{"alias=z-one", "alias=z-two"}, nil, nil), gzip.DefaultCompression),
				"kernel/a.ko.gz": kmodtest.Gzip(t, object([]string{"alias=a-one"}, nil, nil), gzip.DefaultCompression),
				"modules.order":  []byte("kernel/z.ko\nkernel/a.ko\n"),
			},
			want: map[string]string{"modules.alias": "# Aliases extracted from modules themselves.\nalias z-one z\nalias z-two z\nalias a-one a\n"},
		},
		{
			name: "modules_outdir", about: "-o writes elsewhere, and names modules as they are in the tree",
			modules: map[string][]byte{
				"kernel/b/one.ko": object([]string{"alias=one"}, nil, []string{"two"}),
				"kernel/c/two.ko": object(nil, []string{"two"}, nil), "modules.order": []byte("kernel/c/two.ko\nkernel/b/one.ko\n"),
			},
			args: []string{"--outdir", "ROOT/outdir/"}, where: "outdir/lib/modules/4.4.4",
			want: map[string]string{
				"modules.dep":   "kernel/c/two.ko:\nkernel/b/one.ko: kernel/c/two.ko\n",
				"modules.alias": "# Aliases extracted from modules themselves.\nalias one one\n",
			},
		},
		{
			name: "search_order_simple", about: "a directory before built-in comes first",
			modules: map[string][]byte{"kernel/simple.ko": simple, "updates/simple.ko": simple}, config: search("search updates built-in"),
			want: map[string]string{"modules.dep": "updates/simple.ko:\n"},
		},
		{
			name: "another_moddir", about: "-m names the place of the trees",
			modules: map[string][]byte{"/foobar/4.4.4/kernel/simple.ko": simple}, args: []string{"-m", "/foobar"}, where: "foobar/4.4.4",
			want: map[string]string{"modules.dep": "kernel/simple.ko:\n"},
		},
		{
			name: "another_moddir_relative", about: "which is below the root without a slash too",
			modules: map[string][]byte{"/foobar2/4.4.4/kernel/simple.ko": simple}, args: []string{"-m", "foobar2"}, where: "foobar2/4.4.4",
			want: map[string]string{"modules.dep": "kernel/simple.ko:\n"},
		},
		{
			name: "search_order_same_prefix", about: "foo is not the beginning of foobar",
			modules: map[string][]byte{"foo/simple.ko": simple, "foobar/simple.ko": simple}, config: search("search foobar foo built-in"),
			want: map[string]string{"modules.dep": "foobar/simple.ko:\n"},
		},
		{
			name: "search_order_external_first", about: "a directory outside of the tree comes first if the configuration says so",
			modules: map[string][]byte{"foo/simple.ko": simple, "foobar/simple.ko": simple, "/external/simple.ko": simple},
			config:  map[string]string{"external.conf": "external 4\\.4\\..* ROOT/external\n", "search.conf": "search external foobar foo built-in\n"},
			want:    map[string]string{"modules.dep": "ROOT/external/simple.ko:\n"},
		},
		{
			name: "search_order_external_last", about: "and last",
			modules: map[string][]byte{"foo/simple.ko": simple, "foobar/simple.ko": simple, "/external/simple.ko": simple},
			config:  map[string]string{"external.conf": "external 4\\.4\\..* ROOT/external\n", "search.conf": "search foobar foo built-in external\n"},
			want:    map[string]string{"modules.dep": "foobar/simple.ko:\n"},
		},
		{
			name: "search_order_override", about: "override is before search",
			modules: map[string][]byte{"foo/simple.ko": simple, "override/simple.ko": simple},
			config:  map[string]string{"override.conf": "override simple 4.4.4 override\n", "search.conf": "search foo built-in\n"},
			want:    map[string]string{"modules.dep": "override/simple.ko:\n"},
		},
		{
			name: "check_weakdep", about: "weak dependencies have a file of their own",
			modules: map[string][]byte{"kernel/weak.ko": object([]string{"weakdep=simple"}, nil, nil), "kernel/simple.ko": simple},
			want:    map[string]string{"modules.weakdep": "# Weak dependencies extracted from modules themselves.\nweakdep weak simple\n"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := upstreamTree(t, c.modules, c.config)
			args := []string{"-b", root, "-C", filepath.Join(root, "etc/depmod.d")}
			for _, a := range c.args {
				args = append(args, strings.ReplaceAll(a, "ROOT", root))
			}
			if _, code := depmod(t, append(args, "4.4.4")...); code != 0 {
				t.Fatalf("%s: exit code %d", c.about, code)
			}
			where := c.where
			if where == "" {
				where = "lib/modules/4.4.4"
			}
			for file, want := range c.want {
				b, err := os.ReadFile(filepath.Join(root, where, file))
				if want = strings.ReplaceAll(want, "ROOT", root); err != nil || string(b) != want {
					t.Errorf("%s: %s is %q, %v; want %q", c.about, file, b, err, want)
				}
			}
		})
	}
}

// The eleventh, detect_loop: every loop is named, modules that only use one are
// not, and no index is made.
func TestUpstreamDetectLoop(t *testing.T) {
	module := func(name string, needs ...string) []byte { return object(nil, []string{name}, needs) }
	root := upstreamTree(t, map[string][]byte{
		"kernel/loop-a.ko": module("a", "b"), "kernel/loop-b.ko": module("b", "c"), "kernel/loop-c.ko": module("c", "a"),
		"kernel/loop-d.ko": module("d", "e"), "kernel/loop-e.ko": module("e", "d"),
		"kernel/uses.ko": module("u", "a", "d"), "kernel/used.ko": module("v"),
		"modules.order": []byte("kernel/loop-a.ko\nkernel/loop-d.ko\nkernel/loop-b.ko\nkernel/loop-c.ko\nkernel/loop-e.ko\n"),
	}, nil)
	said, code := complaints(t, root)
	want := "depmod: ERROR: Cycle detected: loop_a -> loop_b -> loop_c -> loop_a\n" +
		"depmod: ERROR: Cycle detected: loop_e -> loop_d -> loop_e\ndepmod: ERROR: Found 5 modules in dependency cycles!\n"
	if code != 1 || !strings.HasSuffix(said, want) {
		t.Errorf("exit code %d, said %q; want %q", code, said, want)
	}
	if _, err := os.Stat(filepath.Join(root, "lib/modules/4.4.4/modules.dep")); err == nil {
		t.Error("modules.dep was made")
	}
}

// complaints runs depmod on the tree and returns what it says on standard error.
func complaints(t *testing.T, root string) (said string, code int) {
	t.Helper()
	stderr := os.Stderr
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = w
	_, code = depmod(t, "-b", root, "-C", "/dev/null", "4.4.4")
	os.Stderr = stderr
	w.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), code
}

// Where a module that uses no other leaves the list of those that are left, the search goes on behind it: kmod 30 and 34.2
// say the same of this tree. A module that was passed before is a loop of its own then.
func TestOrderOfLoops(t *testing.T) {
	module := func(name string, needs ...string) []byte { return object(nil, []string{name}, needs) }
	root := upstreamTree(t, map[string][]byte{
		"a.ko": module("a", "b"), "b.ko": module("b", "c"), "c.ko": module("c"), "d.ko": module("d", "d", "a"),
		"modules.order": []byte("a.ko\nb.ko\nc.ko\nd.ko\n"),
	}, nil)
	said, _ := complaints(t, root)
	want := "depmod: ERROR: Cycle detected: d -> d\ndepmod: ERROR: Cycle detected: b\ndepmod: ERROR: Found 1 modules in dependency cycles!\n"
	if !strings.HasSuffix(said, want) {
		t.Errorf("said %q; want %q", said, want)
	}
}

func upstreamTree(t *testing.T, modules map[string][]byte, config map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	put := func(path string, b []byte) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range modules {
		if name[0] != '/' {
			name = "lib/modules/4.4.4/" + name
		}
		put(name, b)
	}
	for name, text := range config {
		put("etc/depmod.d/"+name, []byte(strings.ReplaceAll(text, "ROOT", root)))
	}
	return root
}
