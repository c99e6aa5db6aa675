// SPDX-License-Identifier: Apache-2.0

package conf

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type warnings []string

func (w *warnings) warn(m string) { *w = append(*w, m) }

func TestParse(t *testing.T) {
	s := Default()
	var w warnings
	s.parse("f", "# a comment\n\npatience 2m\n policy\tproven \nexempt  a-b \\\n  c\npatience\npolicy nope\n"+
		"patience 61m\nfrob x\npatience 1500ms", w.warn)
	want := Settings{Policy: Proven, Patience: 1500 * time.Millisecond, Exempt: []string{"a-b", "c"}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v, want %+v", s, want)
	}
	wantWarnings := warnings{"f:7: patience: one value wanted", `f:8: policy: refuse, bold, proven, observe or off wanted, not "nope"`,
		`f:9: patience: a time such as 10s, 500ms or 2m up to 60m wanted (0 never refuses on suspicion), not "61m"`,
		`f:10: unknown directive "frob"`}
	if !reflect.DeepEqual(w, wantWarnings) {
		t.Errorf("warnings\n%s\nwant\n%s", strings.Join(w, "\n"), strings.Join(wantWarnings, "\n"))
	}
	if !s.Exempts("a_b") || !s.Exempts("c") || s.Exempts("a") {
		t.Error("Exempts does not hold a-b and c alone")
	}
}

func TestDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{"0": 0, "7": 7 * time.Second, "10s": 10 * time.Second,
		"250ms": 250 * time.Millisecond, "60min": time.Hour} {
		if got, ok := duration(in); !ok || got != want {
			t.Errorf("duration(%q) = %v, %v; want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "s", "-1", "1h", "1.5s", "99999999999999999999", "3601", "10 s"} {
		if got, ok := duration(in); ok {
			t.Errorf("duration(%q) = %v, want none", in, got)
		}
	}
}

func TestCmdline(t *testing.T) {
	s := Default()
	var w warnings
	s.cmdline("quiet safeload.policy=off root=/dev/sda safeload.exempt=a,b safeload.x=1\n", w.warn)
	if s.Policy != Off || !reflect.DeepEqual(s.Exempt, []string{"a", "b"}) || len(w) != 1 {
		t.Errorf("got %+v, warnings %q", s, w)
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestDirectories(t *testing.T) {
	root := t.TempDir()
	etc, run, lib := root+"/etc", root+"/run", root+"/lib"
	write(t, etc+"/20-b.conf", "patience 20s\n", 0o644)
	write(t, run+"/10-a.conf", "policy observe\npatience 1s\n", 0o644)
	write(t, run+"/20-b.conf", "patience 30s\nexempt masked\n", 0o644) // masked by etc
	write(t, lib+"/30-c.conf", "exempt c\n", 0o644)
	write(t, lib+"/40-null.conf", "policy off\n", 0o644) // masked by the link
	if err := os.Symlink("/dev/null", etc+"/40-null.conf"); err != nil {
		t.Fatal(err)
	}
	write(t, lib+"/no", "policy off\n", 0o644)
	write(t, lib+"/.hidden.conf", "policy off\n", 0o644)
	var w warnings
	got := ReadDirs([]string{etc, run, root + "/absent", lib}, uint32(os.Geteuid()), w.warn)
	want := Settings{Policy: Observe, Patience: 20 * time.Second, Exempt: []string{"c"}}
	if !reflect.DeepEqual(got, want) || len(w) != 0 {
		t.Errorf("got %+v, want %+v, warnings %q", got, want, w)
	}
}

func TestDistrust(t *testing.T) {
	me := uint32(os.Geteuid())
	dir := t.TempDir()
	write(t, dir+"/world.conf", "policy off\n", 0o646)
	write(t, dir+"/group.conf", "policy off\n", 0o664)
	var w warnings
	if s := ReadDirs([]string{dir}, me, w.warn); s.Policy != Refuse || len(w) != 2 {
		t.Errorf("files that others can write: %+v, warnings %q", s, w)
	}
	write(t, dir+"/fine.conf", "policy off\n", 0o644)
	w = nil
	if s := ReadDirs([]string{dir}, me+1, w.warn); s.Policy != Refuse || len(w) != 1 {
		t.Errorf("another owner: %+v, warnings %q", s, w)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	w = nil
	if s := ReadDirs([]string{dir}, me, w.warn); s.Policy != Refuse || len(w) != 1 {
		t.Errorf("a directory that all can write: %+v, warnings %q", s, w)
	}
}

func TestLongFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a.conf", "policy proven\n"+strings.Repeat("#\n", maxFile), 0o644)
	var w warnings
	if s := ReadDirs([]string{dir}, uint32(os.Geteuid()), w.warn); s.Policy != Proven || len(w) != 1 {
		t.Errorf("got %+v, warnings %q", s, w)
	}
}

// BenchmarkNothing is what a system without any file pays.
func BenchmarkNothing(b *testing.B) {
	for b.Loop() {
		Read(func(string) {})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("patience 10s\npolicy refuse\nexempt a b\n")
	f.Add("# x\n\\\n\\\npolicy \\\n off")
	f.Add("exempt \x00\xff\\")
	f.Fuzz(func(t *testing.T, text string) {
		s := Default()
		s.parse("f", text, func(m string) {
			for i := 0; i < len(m); i++ {
				if m[i] < ' ' || m[i] > '~' {
					t.Fatalf("warning with byte %#x: %q", m[i], m)
				}
			}
		})
		s.cmdline(text, func(string) {})
		if s.Patience < 0 || s.Patience > MaxPatience || s.Policy > Off || len(s.Exempt) > maxExempt {
			t.Fatalf("out of bounds: %+v", s)
		}
	})
}
