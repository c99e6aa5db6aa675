// SPDX-License-Identifier: Apache-2.0

package modprobe_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"safeload/finit"
	"safeload/guard"
	"safeload/internal/kmodtest"
	"safeload/internal/modload"
	"safeload/internal/modprobe"
)

var errRefused = errors.New("refused")

// fake stands for the kernel and the guard.
type fake struct {
	done []string
	fail map[string]error
}

func (f *fake) Submit(l guard.Load, submit func() error) error {
	if f.fail["guard "+l.Module] != nil {
		return f.fail["guard "+l.Module]
	}
	return submit()
}

func (f *fake) Command(_ guard.Command, env []string, run func([]string, func() int) error) error {
	return run(append(env, "TOKEN=t"), nil)
}

func (f *fake) Close() { f.done = append(f.done, "close") }

// run runs modprobe over a small tree; root is above lib/modules/V.
func (f *fake) run(root string, args ...string) int {
	return modprobe.Main(&modprobe.Env{
		Args:    append([]string{"modprobe", "-d", root, "-S", "V", "-C", filepath.Join(root, "conf")}, args...),
		Environ: []string{"PATH=/bin:/usr/bin", "OUT=" + filepath.Join(root, "out")},
		System:  kernel{fake: f},
	})
}

// kernel is the fake as the program's system, with commands that really run.
type kernel struct {
	modprobe.System // nil: what is not below is not called
	*fake
}

func (k kernel) Guard(string) modload.Guard { return k.fake }

func (kernel) Refused(err error) bool { return err == errRefused }

func (k kernel) Insert(_, name, params string, _ finit.Flags) error {
	k.done = append(k.done, "insert "+name+" "+params)
	return k.fail[name]
}

func (k kernel) Remove(name string, _ bool) error {
	k.done = append(k.done, "remove "+name)
	return k.fail[name]
}

func (kernel) Command(text string, env []string, look func() int) (status int, err error) {
	return modprobe.RunShell(text, env, look)
}

func root(t *testing.T) string {
	dir := t.TempDir()
	(&kmodtest.Tree{
		Modules: map[string][]string{"x1": {"x2"}, "x2": nil, "x3": nil, "x4": nil, "x5": nil},
		Aliases: [][2]string{{"many", "x3"}, {"many", "x1"}, {"many", "x4"}},
	}).Write(t, filepath.Join(dir, "lib/modules/V"))
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(
		"install x5 echo $MODPROBE_MODULE \"$CMDLINE_OPTS\" $MODPROBE_OPTIONS $TOKEN >>$OUT\n"+
			"install x6 exit 3\ninstall x7 kill -9 $$\nsoftdep x4 pre: x6\noptions x5 o=1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInsert(t *testing.T) {
	dir := root(t)
	for _, c := range []struct {
		name string
		args []string
		fail map[string]error
		code int
		done string
	}{
		{name: "dependency first", args: []string{"x1", "a=b c"}, done: "insert x2 ;insert x1 a=\"b c\";close"},
		{name: "not found", args: []string{"-q", "nonesuch"}, code: 1},
		{name: "dependency fails", args: []string{"-q", "x1"}, fail: map[string]error{"x2": syscall.ENOEXEC}, code: 1, done: "insert x2 ;close"},
		{name: "already there", args: []string{"x1"}, fail: map[string]error{"x1": syscall.EEXIST}, done: "insert x2 ;insert x1 ;close"},
		{name: "first time", args: []string{"-q", "--first-time", "x1"}, fail: map[string]error{"x1": syscall.EEXIST}, code: 1,
			done: "insert x2 ;insert x1 ;close"},
		{name: "the last of an alias counts", args: []string{"-q", "many"}, fail: map[string]error{"x3": syscall.ENODEV, "x1": syscall.ENODEV},
			done: "insert x3 ;insert x2 ;insert x1 ;insert x4 ;close"},
		{name: "the last fails", args: []string{"-q", "many"}, fail: map[string]error{"x4": syscall.ENODEV}, code: 1,
			done: "insert x3 ;insert x2 ;insert x1 ;insert x4 ;close"},
		{name: "one refused, the others tried", args: []string{"many"}, fail: map[string]error{"guard x3": errRefused},
			done: "insert x2 ;insert x1 ;insert x4 ;close"},
		{name: "the last refused", args: []string{"many"}, fail: map[string]error{"guard x4": errRefused}, code: 1,
			done: "insert x3 ;insert x2 ;insert x1 ;close"},
		{name: "all", args: []string{"-aq", "x3", "nonesuch", "x4"}, code: 1, done: "insert x3 ;insert x4 ;close"},
		{name: "soft dependency fails", args: []string{"-q", "x4"}, done: "insert x4 ;close"},
		{name: "dry run", args: []string{"-qn", "x3"}},
		{name: "command fails", args: []string{"-q", "x6"}, code: 1, done: "close"},
		{name: "command killed counts as done", args: []string{"x7"}, done: "close"},
	} {
		f := &fake{fail: c.fail}
		if code := f.run(dir, c.args...); code != c.code || strings.Join(f.done, ";") != c.done {
			t.Errorf("%s: exit code %d, want %d\n got %s\nwant %s", c.name, code, c.code, strings.Join(f.done, ";"), c.done)
		}
	}
}

func TestCommandEnvironment(t *testing.T) {
	dir := root(t)
	f := &fake{}
	if code := f.run(dir, "-v", "-q", "x5", "p=q r"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	got, err := os.ReadFile(filepath.Join(dir, "out"))
	// The quotes of the parameter meet those of the command: as with kmod.
	want := "x5 o=1 p=q r -C " + filepath.Join(dir, "conf") + " -v -q t\n"
	if err != nil || string(got) != want {
		t.Errorf("the command saw %q, %v, want %q", got, err, want)
	}
}

// Where a relative path leads nowhere, kmod_new gives up.
func TestNoDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if code := modprobe.Main(&modprobe.Env{Args: []string{"modprobe", "-d", "x", "-c"}}); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// TestHostileNames asks for names that any user can make the kernel ask for.
func TestHostileNames(t *testing.T) {
	dir := root(t)
	for _, name := range []string{"$(touch " + dir + "/evil)", "`id`", "a;b", "../../../x1", "\n", "\x1b[2J", "", " ", "[", strings.Repeat("a", 5000)} {
		f := &fake{}
		if code := f.run(dir, "-q", "--", name); code != 1 || len(f.done) != 0 {
			t.Errorf("%q: exit code %d, done %q", name, code, f.done)
		}
	}
	if _, err := os.Stat(dir + "/evil"); err == nil {
		t.Error("a name came to be a command")
	}
}
