// SPDX-License-Identifier: Apache-2.0

package install

import (
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"safeload/internal/program"
	"safeload/internal/program/programtest"
)

// system is a made-up root with a modprobe; the package's real use, with
// dpkg-divert, chroot and the real helper, is scripts/pkg-test.sh.
type system struct {
	t     *testing.T
	root  string
	lines []string
	calls []string // of dpkg-divert
	fail  func(t trial) error
}

func newSystem(t *testing.T, merged bool) *system {
	if os.Geteuid() != 0 {
		t.Skip("changes owners' files: needs root")
	}
	s := &system{t: t, root: t.TempDir()}
	if merged {
		s.mkdir("usr/sbin")
		if err := os.Symlink("usr/sbin", s.root+"/sbin"); err != nil {
			t.Fatal(err)
		}
	}
	s.write("sbin/modprobe.real", "#!/bin/sh\n")
	if err := os.Symlink("modprobe.real", s.root+"/sbin/modprobe"); err != nil {
		t.Fatal(err)
	}
	s.write("proc/sys/kernel/modprobe", "/sbin/modprobe\n")
	s.write("var/lib/dpkg/diversions", "")
	return s
}

func (s *system) mkdir(dir string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) write(name, text string) {
	s.t.Helper()
	s.mkdir(filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(s.root, name), []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) read(name string) string {
	b, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

func (s *system) options(via Via) Options {
	live := true
	exe, err := os.Executable() // an ELF file of this machine
	if err != nil {
		s.t.Fatal(err)
	}
	return Options{
		Root: s.root, Via: via, Helper: exe, live: &live,
		Report: func(l string) { s.lines = append(s.lines, l) },
		try: func(t trial) error {
			if s.fail != nil {
				return s.fail(t)
			}
			return nil
		},
		divert: func(args ...string) error {
			s.calls = append(s.calls, strings.Join(args[len(args)-2:], " "))
			name := args[len(args)-1]
			entry := name + "\n" + name + keptSuffix + "\n:\n"
			text := s.read("var/lib/dpkg/diversions")
			if args[len(args)-2] == "--add" {
				text += entry
			} else {
				text = strings.Replace(text, entry, "", 1)
			}
			s.write("var/lib/dpkg/diversions", text)
			return nil
		},
	}
}

// snapshot is every file and directory with its type and content.
func (s *system) snapshot() string {
	var b strings.Builder
	err := filepath.WalkDir(s.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		b.WriteString(p + " " + d.Type().String() + " ")
		if d.IsDir() {
			b.WriteString("\n")
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(p)
			b.WriteString(target + "\n")
			return err
		}
		text, err := os.ReadFile(p)
		b.Write(text)
		b.WriteString("\n")
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return b.String()
}

func TestThereAndBack(t *testing.T) {
	for _, via := range []Via{Sysctl, Divert} {
		for _, merged := range []bool{false, true} {
			s := newSystem(t, merged)
			before := s.snapshot()
			dry := s.options(via)
			dry.DryRun = true
			if err := Install(dry); err != nil {
				t.Fatal(err)
			}
			if s.snapshot() != before {
				t.Errorf("%s: a dry run changed something", via)
			}
			if err := Install(s.options(via)); err != nil {
				t.Fatalf("%s: %v", via, err)
			}
			after := s.snapshot()
			s.lines = nil
			if err := Install(s.options(via)); err != nil {
				t.Fatal(err)
			}
			if s.snapshot() != after || !strings.Contains(strings.Join(s.lines, "\n"), "nothing to change") {
				t.Errorf("%s: the second install changed something: %q", via, s.lines)
			}
			if via == Sysctl && s.read("proc/sys/kernel/modprobe") != ownHelper+"\n" {
				t.Errorf("kernel.modprobe is %q", s.read("proc/sys/kernel/modprobe"))
			}
			if via == Divert && merged != (len(s.calls) == 2) {
				t.Errorf("merged %v: dpkg-divert called with %q", merged, s.calls)
			}
			if err := Uninstall(s.options("")); err != nil {
				t.Fatal(err)
			}
			if got := s.snapshot(); got != before {
				t.Errorf("%s, merged %v: not as before:\n%s\nwas\n%s", via, merged, got, before)
			}
			if err := Uninstall(s.options("")); err != nil {
				t.Errorf("%s: second uninstall: %v", via, err)
			}
		}
	}
}

func TestNewDoesNotWork(t *testing.T) {
	for _, via := range []Via{Sysctl, Divert} {
		s := newSystem(t, true)
		before := s.snapshot()
		s.fail = func(t trial) error {
			if t.old {
				return nil
			}
			return errors.New("boom")
		}
		if err := Install(s.options(via)); err == nil || s.snapshot() != before {
			t.Errorf("%s: error %v, and changes:\n%s", via, err, s.snapshot())
		}
	}
}

// loaderOf is the dynamic loader that a program names, if any.
func loaderOf(t *testing.T, path string) string {
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(p.Open())
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimRight(string(b), "\x00")
		}
	}
	return ""
}

// A program of an image is not run, nor anything in a dry run.
func TestRunsNothing(t *testing.T) {
	for _, dry := range []bool{false, true} {
		s := newSystem(t, false)
		mark := filepath.Join(t.TempDir(), "ran")
		exe, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		s.write("usr/sbin/safeload-modprobe", string(exe)) // would say so itself, by TestMain
		s.write("bin/sh", programtest.ELF(program.Machines()[0], "", 0))
		if loader := loaderOf(t, "/proc/self/exe"); loader != "" { // with -race
			s.write(loader, programtest.ELF(program.Machines()[0], "", 0))
		}
		s.write("sbin/modprobe.real", "#!/bin/sh\n: >"+mark+"\n")
		o := s.options(Sysctl)
		o.Helper, o.try, o.DryRun = "", nil, dry
		if dry { // of the system that runs, too
			o.try = func(trial) error { t.Error("a dry run tries a modprobe"); return nil }
		}
		if err := Install(o); err != nil {
			t.Errorf("dry run %v: %v", dry, err)
		}
		if exists(mark) {
			t.Errorf("dry run %v: the image's modprobe was run", dry)
		}
	}
}

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "safeload-modprobe" {
		panic("an image's helper was run")
	}
	os.Exit(m.Run())
}

// Nobody but root can open what is locked.
func TestLock(t *testing.T) {
	s := newSystem(t, false)
	before := s.snapshot()
	hold := func(path string) {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	}
	hold(s.root)
	hold(s.root + "/sbin")
	o := s.options(Sysctl)
	r, err := begin(o)
	if err != nil {
		t.Fatal(err)
	}
	fi, err := os.Lstat(s.root + lockFile)
	if err != nil || fi.Mode() != 0o600 {
		t.Errorf("the lock: %v, %v, want a file of mode 0600", fi, err)
	}
	if err := Install(o); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("install while another is at work: %v", err)
	}
	r.end()
	if got := s.snapshot(); got != before {
		t.Errorf("the lock leaves something behind:\n%s", got)
	}
	hold(s.root + "/var/lib")
	if err := Install(o); err != nil {
		t.Fatal(err)
	}
	hold(s.root + stateDir) // 0755: any user can
	if err := Uninstall(s.options("")); err != nil {
		t.Error(err)
	}
}

// A lock that others could hold, or that leads elsewhere, is not taken.
func TestLockOfOthers(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a link":          func(p string) error { return os.Symlink("/etc/passwd", p) },
		"a pipe":          func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"open to all":     func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"another's":       func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chown(p, 1, 1)) },
		"a directory":     func(p string) error { return os.Mkdir(p, 0o700) },
		"its directory":   func(p string) error { return os.Chmod(filepath.Dir(p), 0o777) },
		"directory's own": func(p string) error { return os.Chown(filepath.Dir(p), 1, 1) },
	} {
		s := newSystem(t, false)
		s.mkdir(stateDir)
		if err := put(s.root + lockFile); err != nil {
			t.Fatal(err)
		}
		if err := Install(s.options(Sysctl)); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

// Many at once: one at a time, and nothing is left.
func TestLockContended(t *testing.T) {
	s := newSystem(t, false)
	before := s.snapshot()
	var held, got atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				l, err := takeLock(&run{o: Options{Root: s.root}})
				if errors.Is(err, syscall.EWOULDBLOCK) {
					continue
				}
				if err != nil {
					t.Error(err)
					continue
				}
				if held.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				got.Add(1)
				held.Add(-1)
				l.release()
			}
		})
	}
	wg.Wait()
	if got.Load() == 0 || s.snapshot() != before {
		t.Errorf("held %d times, then:\n%s", got.Load(), s.snapshot())
	}
}

// A helper that works where it lies but not in modprobe's place.
func TestFallsBack(t *testing.T) {
	s := newSystem(t, true)
	before := s.snapshot()
	s.fail = func(t trial) error {
		if t.path == "/usr/sbin/modprobe" {
			return errors.New("boom")
		}
		return nil
	}
	if err := Install(s.options(Divert)); err == nil || s.snapshot() != before {
		t.Errorf("error %v, and changes:\n%s", err, s.snapshot())
	}
}

func TestNothingToGoBackTo(t *testing.T) {
	s := newSystem(t, true)
	if err := Install(s.options(Sysctl)); err != nil {
		t.Fatal(err)
	}
	after := s.snapshot()
	s.fail = func(t trial) error { return errors.New("kmod is gone") }
	if err := Uninstall(s.options("")); err == nil || s.snapshot() != after {
		t.Errorf("error %v, and changes:\n%s", err, s.snapshot())
	}
}

func TestLaterSettingWins(t *testing.T) {
	s := newSystem(t, true)
	s.write("etc/sysctl.d/90-site.conf", "-kernel/modprobe=/bin/false\n")
	before := s.snapshot()
	err := Install(s.options(Sysctl))
	if err == nil || !strings.Contains(err.Error(), "90-site.conf") || s.snapshot() != before {
		t.Errorf("error %v, and changes:\n%s", err, s.snapshot())
	}
}

func TestOthersChangesStay(t *testing.T) {
	s := newSystem(t, true)
	if err := Install(s.options(Sysctl)); err != nil {
		t.Fatal(err)
	}
	s.write("proc/sys/kernel/modprobe", "/site/modprobe\n")
	s.write("etc/sysctl.d/60-safeload.conf", "kernel.modprobe=/site/modprobe\n")
	if err := Uninstall(s.options("")); err != nil {
		t.Fatal(err)
	}
	if s.read("proc/sys/kernel/modprobe") != "/site/modprobe\n" || !strings.Contains(s.read("etc/sysctl.d/60-safeload.conf"), "/site/") {
		t.Error("what somebody else set was undone")
	}
}

func TestInRoot(t *testing.T) {
	root := t.TempDir()
	for name, target := range map[string]string{"sbin": "usr/sbin", "abs": "/usr/sbin", "up": "../../../usr", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string]string{"/sbin/x": "/usr/sbin/x", "/abs/x": "/usr/sbin/x", "/up/x": "/usr/x", "/a/b": "/a/b", "/loop/x": "/loop/x"} {
		if got := inRoot(root, in); got != root+want {
			t.Errorf("inRoot(%s) = %s, want %s in the root", in, got, want)
		}
	}
}

func TestState(t *testing.T) {
	want := State{Via: Divert, Helper: "/usr/sbin/modprobe", Previous: "", Known: true, Broken: true, Diverted: []string{"/a", "/b"}}
	got, err := parseState(string(want.encode()))
	if err != nil || string(got.encode()) != string(want.encode()) || !got.Known {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, damaged := range []string{"", "via=sysctl\n", "via=x\nhelper=/a\n", "helper=/a\nvia"} {
		if _, err := parseState(damaged); err == nil {
			t.Errorf("%q is taken for a state", damaged)
		}
	}
}

func TestSample(t *testing.T) {
	got := sample("kernel/a-b.ko.xz: kernel/c.ko\nkernel/c.ko:\n")
	if len(got) != 2 || got[0] != "a-b" || got[1] != "c" || len(sample("")) != 0 {
		t.Errorf("got %q", got)
	}
}

// A path that leads to root's file by way of somebody else's link or directory
// is not one to give to the kernel.
func TestOnlyRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to own files")
	}
	root := t.TempDir()
	for _, d := range []string{"usr/sbin", "opt/theirs", "opt/open", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, mode := range map[string]os.FileMode{"opt/open": 0o777, "tmp": 0o777 | os.ModeSticky} {
		if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"usr/sbin/helper", "opt/theirs/helper", "opt/open/helper", "tmp/helper"} {
		if err := os.WriteFile(filepath.Join(root, f), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"sbin":            "usr/sbin",
		"opt/theirs/link": "/usr/sbin",
		"ours":            "/opt/theirs/link/helper",
		"opt/abs":         "/usr/sbin/helper",
		"opt/up":          "../../../usr/sbin/helper",
		"loop":            "loop",
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"opt/theirs", "opt/theirs/link"} {
		if err := os.Lchown(filepath.Join(root, p), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{
		"/usr/sbin/helper":        true,
		"/sbin/helper":            true,
		"/opt/abs":                true,
		"/opt/up":                 true,
		"/tmp/helper":             true,
		"/opt/theirs/helper":      false,
		"/opt/theirs/link/helper": false,
		"/ours":                   false, // root's link to a link of theirs
		"/opt/open/helper":        false,
		"/loop":                   false,
		"/none":                   false,
	} {
		if err := onlyRoot(name, root); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Chown(root, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if onlyRoot("/usr/sbin/helper", root) == nil {
		t.Error("the root is somebody else's, and was let pass")
	}
}

// A root's name is no pattern.
func TestRootWithBrackets(t *testing.T) {
	root := filepath.Join(t.TempDir(), "image[1]*")
	if err := os.MkdirAll(filepath.Join(root, "etc/sysctl.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/sysctl.d/99-last.conf"), []byte("kernel.modprobe=/x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := SysctlSettings(root)
	if err != nil || len(got) != 1 || got[0] != (Setting{"/etc/sysctl.d/99-last.conf", "/x"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// A modprobe that leaves somebody who holds its output is not waited for longer
// than itself.
func TestTrialLeavesSomebody(t *testing.T) {
	file := filepath.Join(t.TempDir(), "modprobe")
	pid := filepath.Join(t.TempDir(), "pid")
	script := "#!/bin/sh\nsleep 1000 &\necho $! >" + pid + "\necho kmod version 34\n"
	if err := os.WriteFile(file, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	out, code, err := trial{root: "/", path: file}.run("-V")
	if err != nil || code != 0 || string(out) != "kmod version 34\n" {
		t.Errorf("%q, %d, %v", out, code, err)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		_ = syscall.Kill(n, syscall.SIGKILL)
	}
}

// What the kernel could not start is not run to see that: it would ask for a
// module of that format, and so for the helper that is there.
func TestTrialRunsNothingForeign(t *testing.T) {
	dir := t.TempDir()
	foreign := elf.EM_ARM
	if slices.Contains(program.Machines(), foreign) {
		foreign = elf.EM_X86_64
	}
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"foreign":   {programtest.ELF(foreign, "", 0), 0o755, "it is for"},
		"cut short": {programtest.ELF(program.Machines()[0], "", 8), 0o755, "cut short"},
		"no bits":   {programtest.ELF(program.Machines()[0], "", 0), 0o644, "nobody may execute it"},
		"no shell":  {"#!/nowhere/sh\n", 0o755, "/nowhere/sh cannot be started"},
		"text":      {"modprobe\n", 0o755, "neither an ELF program nor a script"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		for _, old := range []bool{false, true} {
			if err := try(trial{root: "/", path: path, old: old}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	}
	for root, path := range map[string]string{dir: "/no bits", "": filepath.Join(dir, "cut short")} {
		if err := try(trial{root: root, path: path}); err == nil {
			t.Errorf("%s in an image at %q passes", path, root)
		}
	}
}
