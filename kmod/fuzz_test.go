// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
	"safeload/internal/syntax/syntaxtest"
)

func inMemory(t *testing.T, data []byte) (fd int) {
	t.Helper()
	fd, err := unix.MemfdCreate("index", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, data); err != nil {
		t.Fatal(err)
	}
	return fd
}

// absent tells whether r was answered without a mapping, by that nothing is there.
func absent(r *request, fd int) bool { return r.answered(fd, new(scratch)) && !r.found }

// What an index lacks is found without mapping it, and nothing that it has.
func TestAbsent(t *testing.T) {
	fd := inMemory(t, syntaxtest.Index())
	defer unix.Close(fd)
	for _, c := range []struct {
		name           string
		absent, asWild bool
	}{
		{"abc", false, false},
		{"axc", true, false}, // "a*c" may match
		{"a", true, false},
		{"", true, true},
		{"xbc", true, true},
		{"ab", true, false},
	} {
		if got := absent(&request{key: c.name}, fd); got != c.absent {
			t.Errorf("%q is absent: %v, want %v", c.name, got, c.absent)
		}
		if got := absent(&request{key: c.name, wild: true}, fd); got != c.asWild {
			t.Errorf("what %q matches is absent: %v, want %v", c.name, got, c.asWild)
		}
	}
	for what, data := range map[string][]byte{"magic": append([]byte("x"), syntaxtest.Index()[1:]...), "short": syntaxtest.Index()[:8]} {
		bad := inMemory(t, data)
		defer unix.Close(bad)
		if absent(&request{key: "xbc"}, bad) {
			t.Errorf("%s: a file that is no index has nothing, and nobody is told what is wrong with it", what)
		}
	}
	// A node longer than what is read of it is left to the mapped index.
	b := binary.BigEndian.AppendUint32(nil, syntax.IndexMagic)
	b = binary.BigEndian.AppendUint32(b, 2<<16|1)
	b = binary.BigEndian.AppendUint32(b, syntax.HeaderSize|syntax.NodePrefix|syntax.NodeValues)
	b = append(b, strings.Repeat("x", 2*syntax.NodeSize)+"\x00\x00\x00\x00\x01\x00\x00\x00\x00value\x00"...)
	long := inMemory(t, b)
	defer unix.Close(long)
	if absent(&request{key: strings.Repeat("x", 2*syntax.NodeSize)}, long) {
		t.Error("a long key that is there is absent")
	}
}

// An index that is asked for several names is mapped at last, and answers the
// same before and after.
func TestAbsentThenMapped(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, indexFiles[indexDep]), syntaxtest.Index(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := New(Options{Dir: dir, NoConfig: true, Cmdline: os.DevNull})
	for i := range 10 {
		if c.indexes[indexDep] != nil != (i > 4) {
			t.Errorf("after %d names: mapped %v", i, c.indexes[indexDep] != nil)
		}
		if v, ok := c.search(indexDep, "axc"); ok {
			t.Errorf("found %q", v)
		}
	}
	if v, ok := c.search(indexDep, "abc"); !ok || v != "two" {
		t.Errorf("abc is %q, %v", v, ok)
	}
	// What the index has is found without the mapping, too, and stays.
	c = New(Options{Dir: dir, NoConfig: true, Cmdline: os.DevNull})
	v, ok := c.search(indexDep, "abc")
	_, _ = c.search(indexDep, "axc")
	if !ok || v != "two" || c.indexes[indexDep] != nil {
		t.Errorf("abc is %q, %v, mapped %v", v, ok, c.indexes[indexDep] != nil)
	}
}

func TestIndex(t *testing.T) {
	data := syntaxtest.Index()
	ix, err := newIndex("", data)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"abc": "two one", "axc": "one", "a5": "three", "ab": "", "": "", "a": "", "abcd": "", "ac": "one",
	} {
		if got := strings.Join(ix.SearchWild(name), " "); got != want {
			t.Errorf("SearchWild(%q) = %q, want %q", name, got, want)
		}
	}
	if v, ok := ix.Search("abc"); !ok || v != "two" {
		t.Errorf("Search(abc) = %q, %v", v, ok)
	}
	if _, ok := ix.Search("axc"); ok {
		t.Error("Search takes patterns")
	}
	var dump []string
	whole := ix.Dump(func(key []byte, value string) { dump = append(dump, string(key)+" "+value) })
	if got, want := strings.Join(dump, ","), "a*c one,a[0-9] three,abc two"; got != want || !whole {
		t.Errorf("Dump = %q, whole %v, want %q", got, whole, want)
	}
	for n := syntax.HeaderSize; n < len(data); n++ {
		if ix, err := newIndex("", data[:n]); err == nil && ix.Dump(func([]byte, string) {}) {
			t.Errorf("the first %d bytes of %d are taken for a whole index", n, len(data))
		}
	}
}

// A long prefix that leads back to itself must not be piled up as often as the
// tree may be deep.
func TestIndexLoopOfALongPrefix(t *testing.T) {
	long := strings.Repeat("x", 32<<10)
	at := uint32(syntax.HeaderSize + 1)
	for what, prefix := range map[string]string{"searched": "*" + long, "dumped": long} {
		b := binary.BigEndian.AppendUint32(nil, syntax.IndexMagic)
		b = binary.BigEndian.AppendUint32(b, 2<<16|1)
		b = binary.BigEndian.AppendUint32(b, at|syntax.NodePrefix|syntax.NodeChildren|syntax.NodeValues)
		b = append(append(b, 0), prefix...)
		b = append(b, 0, 'a', 'a')
		b = binary.BigEndian.AppendUint32(b, at|syntax.NodePrefix|syntax.NodeChildren|syntax.NodeValues)
		b = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 'v', 0)
		ix, err := newIndex("", b)
		if err != nil {
			t.Fatal(err)
		}
		s := wildSearch{ix: ix, budget: len(b)}
		s.descend("name")
		if cap(s.pattern) > 4*len(b) {
			t.Errorf("%s: a pattern of %d bytes from a file of %d", what, cap(s.pattern), len(b))
		}
		ix.Dump(func(key []byte, _ string) {
			if len(key) > len(b) {
				t.Fatalf("%s: a key of %d bytes from a file of %d", what, len(key), len(b))
			}
		})
	}
}

func FuzzIndex(f *testing.F) {
	good := syntaxtest.Index()
	f.Add(good, "abc")
	f.Add(good[:20], "abc")
	loop := append([]byte(nil), good...)
	binary.BigEndian.PutUint32(loop[len(loop)-4:], binary.BigEndian.Uint32(good[8:])) // a child that is its own parent
	f.Add(loop, "abababababab")
	f.Add(good, "["+strings.Repeat("x", 4095))
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		ix, err := newIndex("fuzz", data)
		if err != nil {
			return
		}
		value, exact := ix.Search(name)
		patterns := ix.SearchWild(name)
		fd := inMemory(t, data)
		defer unix.Close(fd)
		if exact && absent(&request{key: name}, fd) {
			t.Fatal("a key that is there is absent")
		}
		if r := (request{key: name}); r.answered(fd, new(scratch)) && (r.found != exact || r.value != value) {
			t.Fatalf("read from the file: %q, %v; by the mapping: %q, %v", r.value, r.found, value, exact)
		}
		if len(patterns) > 0 && absent(&request{key: name, wild: true}, fd) {
			t.Fatalf("%q match, and are absent", patterns)
		}
		n := 0
		ix.Dump(func(key []byte, _ string) { n++ })
		if n > len(data) {
			t.Fatalf("%d entries in %d bytes", n, len(data))
		}
	})
}

func FuzzFnmatch(f *testing.F) {
	f.Add("pci:v*d0000[0-9]*", "pci:v0001d00005")
	f.Add("[[:alpha:]-]*", "a-b")
	f.Add(strings.Repeat("*a", 50), strings.Repeat("a", 100))
	f.Add("[", "[")
	f.Add("["+strings.Repeat("b", 4095), "b")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := Fnmatch(pattern, name)
		if !got && pattern == name && !strings.ContainsAny(pattern, `*?[\`+"\x00") {
			t.Fatal("a name does not match itself")
		}
		if Fnmatch("*"+pattern, name) != got && got {
			t.Fatal("a star in front matches less")
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("alias a b\nblacklist c\noptions d e=1 \\\n f=2\ninstall g sh -c x\\ty\nsoftdep h pre: i j post: k\n"))
	f.Add([]byte("softdep x  pre: y\nsoftdep z pre:\nweakdep a b c\nremove m n\n#c\n\nalias\x00a b\n"))
	f.Add([]byte("alias [" + strings.Repeat("x", 4095) + "\n"))
	f.Add([]byte("options a \\"))
	f.Add([]byte("\\\n\\\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		size := len(data)
		var c Config
		c.parse(&confFile{dir: "fuzz", single: true}, append([]byte(nil), data...), func(int, string, string) {})
		total := len(c.Blacklist)
		for _, l := range [][]Directive{c.Aliases, c.Options, c.Install, c.Remove, c.Softdeps, c.Weakdeps} {
			total += len(l)
			for _, d := range l {
				if d.Name == "" || len(d.Name)+len(d.Value) > size {
					t.Fatalf("directive %q out of %d bytes", d, size)
				}
			}
		}
		if total > size {
			t.Fatalf("%d directives out of %d bytes", total, size)
		}
		for _, d := range c.Softdeps {
			ParseSoftdep(d.Value)
		}
		for _, d := range c.Weakdeps {
			ParseWeakdep(d.Value)
		}
	})
}

func FuzzCmdline(f *testing.F) {
	f.Add("quiet loop.max_loop=8 modprobe.blacklist=a,b-c,,\n")
	f.Add(`"veth.dyndbg=file a b" x."y"=z a.b="c d" "open.x=1`)
	f.Add("a..b=1 .c=2 d.=3 [e.f=4 modprobe.blacklist\t")
	f.Add("m-a-b[.a=1 a-b].c-d=2\x00e.f=3")
	f.Fuzz(func(t *testing.T, line string) {
		var c Config
		c.parseCmdline(line, func(int, string, string) {})
		if n := len(c.Options) + len(c.Blacklist); n > len(line)+1 {
			t.Fatalf("%d options out of %d bytes", n, len(line))
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("a-b.ko.xz")
	f.Add("[" + strings.Repeat("x", 4095))
	f.Add(strings.Repeat("-", 5000))
	f.Add("[a-z]-x]")
	f.Fuzz(func(t *testing.T, name string) {
		if a, err := NormalizeAlias(name); err == nil {
			if b, err := NormalizeAlias(a); err != nil && len(name) <= maxName || err == nil && a != b {
				t.Fatalf("%q becomes %q, then %q (%v)", name, a, b, err)
			}
		}
		if n := NormalizeName(name); strings.ContainsAny(n, "-.") || len(n) > maxName {
			t.Fatalf("%q becomes %q", name, n)
		}
		new(scratch).underscores(name)
		_ = LogLevel(name)
	})
}

// FuzzDepline reads lines of modules.dep, of which the paths do not exist.
func FuzzDepline(f *testing.F) {
	f.Add("kernel/a.ko: kernel/b.ko kernel/c.ko")
	f.Add(":")
	f.Add("/abs.ko:\t /dev/null  ../x")
	f.Fuzz(func(t *testing.T, line string) {
		c := &Context{Dir: "/nonesuch", Config: new(Config), Log: func(int, string, string) {}}
		m := c.ByName("m")
		m.parseDeps(line)
		if len(m.deps) > len(line) {
			t.Fatal("more dependencies than bytes")
		}
	})
}
