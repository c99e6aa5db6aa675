// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"safeload/finit"
	"safeload/guard"
	"safeload/guard/graph"
	"safeload/internal/kmodtest"
	"safeload/internal/modload"
)

// root is an image with a small tree and its configuration.
func root(t testing.TB) string {
	dir := t.TempDir()
	(&kmodtest.Tree{
		Modules: map[string][]string{"x1": {"x2"}, "x2": nil, "x3": nil, "x4": nil, "x5": nil},
		Aliases: [][2]string{{"many", "x3"}, {"many", "x1"}, {"many", "x4"}, {"black", "x3"}},
		Builtin: []string{"inside"},
	}).Write(t, filepath.Join(dir, "lib/modules/V"))
	if err := os.MkdirAll(filepath.Join(dir, "etc/modprobe.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc/modprobe.d/x.conf"), []byte(
		"install x5 echo $MODPROBE_MODULE \"$CMDLINE_OPTS\" $TOKEN\n"+
			"install x6 exit 3\ninstall x7 sleep 100\nsoftdep x4 pre: x6\noptions x5 o=1\nblacklist x3\n"+
			"remove x2 exit 4\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// kernel stands for the kernel and the guard; commands run.
type kernel struct {
	running
	mu   sync.Mutex
	done []string
	fail map[string]error
}

func (k *kernel) do(what, name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done = append(k.done, what+" "+name)
	return k.fail[name]
}

func (k *kernel) Guard(string) modload.Guard { return nil }

func (k *kernel) Insert(_, name, params string, _ finit.Flags) error {
	return k.do("insert", strings.TrimSpace(name+" "+params))
}

func (k *kernel) Remove(name string, _ bool) error { return k.do("remove", name) }

func loader(t testing.TB, o Options, fail map[string]error) (*Loader, *kernel) {
	o.Root, o.Release = root(t), "V"
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	k := &kernel{fail: fail}
	k.ctx, k.l = context.Background(), l
	l.system = k
	return l, k
}

func TestLookup(t *testing.T) {
	l, _ := loader(t, Options{}, nil)
	dir := filepath.Join(l.o.Root, "lib/modules/V")
	for name, want := range map[string][]Module{
		"x-1":    nil,
		"x1":     {{Name: "x1", Path: filepath.Join(dir, "kernel/x1.ko")}},
		"inside": {{Name: "inside", Builtin: true}},
		"black":  {{Name: "x3", Path: filepath.Join(dir, "kernel/x3.ko"), Alias: "black", Blacklisted: true}},
	} {
		got, err := l.Lookup(name)
		if want == nil {
			if !errors.Is(err, ErrNotFound) || !errors.Is(err, syscall.ENOENT) {
				t.Errorf("Lookup(%q): %v, want ErrNotFound", name, err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Lookup(%q) = %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	if _, err := l.Lookup("a]"); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("unpaired bracket: %v", err)
	}
}

func TestPlan(t *testing.T) {
	l, _ := loader(t, Options{}, nil)
	got, err := l.Plan("x1", "a=b c", "d=e")
	if err != nil || len(got) != 2 || got[0].Module != "x2" || got[1].Params != `a="b c" d=e` || !got[1].Required {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = l.Plan("x5")
	if err != nil || len(got) != 1 || got[0].Command == "" || got[0].Params != "o=1" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLoad(t *testing.T) {
	refused := &guard.Refused{Module: "x3", Chain: []graph.Hop{{PID: 7}}}
	for _, c := range []struct {
		what, name string
		o          Options
		fail       map[string]error
		want       error
		done       string
	}{
		{what: "dependency first", name: "x1", done: "insert x2,insert x1"},
		{what: "not found", name: "nonesuch", want: ErrNotFound},
		{what: "a dependency fails", name: "x1", fail: map[string]error{"x2": syscall.ENOEXEC}, want: syscall.ENOEXEC, done: "insert x2"},
		{what: "loaded already", name: "x2", fail: map[string]error{"x2": syscall.EEXIST}, done: "insert x2"},
		{what: "the first time", name: "x2", o: Options{FirstTime: true}, fail: map[string]error{"x2": syscall.EEXIST}, want: syscall.EEXIST, done: "insert x2"},
		{what: "blacklisted", name: "black", want: ErrBlacklisted},
		{what: "blacklisted, by its own name", name: "x3", done: "insert x3"},
		{what: "blacklisted, in any case", name: "x3", o: Options{UseBlacklist: true}, want: ErrBlacklisted},
		{what: "one of several blacklisted", name: "many", done: "insert x2,insert x1,insert x4"},
		{what: "one of several fails", name: "many", fail: map[string]error{"x1": syscall.ENODEV}, done: "insert x2,insert x1,insert x4"},
		{what: "the last of several fails", name: "many", fail: map[string]error{"x1": syscall.ENODEV, "x4": syscall.EIO}, want: syscall.EIO, done: "insert x2,insert x1,insert x4"},
		{what: "refused", name: "x3", fail: map[string]error{"x3": refused}, want: ErrRefused, done: "insert x3"},
		{what: "refused has an errno", name: "x3", fail: map[string]error{"x3": refused}, want: syscall.EDEADLK, done: "insert x3"},
		{what: "a command fails", name: "x6", want: syscall.EINVAL},
		{what: "a command", name: "x5"},
	} {
		l, k := loader(t, c.o, c.fail)
		err := l.Load(t.Context(), c.name)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || strings.Join(k.done, ",") != c.done {
			t.Errorf("%s: %v, want %v\n got %s\nwant %s", c.what, err, c.want, strings.Join(k.done, ","), c.done)
		}
	}
	l, _ := loader(t, Options{}, map[string]error{"x3": refused})
	var r *guard.Refused
	if err := l.Load(t.Context(), "x3"); !errors.As(err, &r) || len(r.Chain) != 1 {
		t.Errorf("the chain is not found in %v", err)
	}
	var failed *CommandError
	if err := l.Load(t.Context(), "x6"); !errors.As(err, &failed) || failed.Status != 3 {
		t.Errorf("the command's status is not found in %v", err)
	}
}

func TestContext(t *testing.T) {
	l, k := loader(t, Options{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	k.ctx = ctx
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := l.Load(ctx, "x7"); !errors.Is(err, context.Canceled) {
		t.Errorf("a command that lasts: %v, want that it was cancelled", err)
	}
	if err := l.Load(ctx, "x1"); !errors.Is(err, context.Canceled) || len(k.done) != 0 {
		t.Errorf("%v, want that it was cancelled; done: %v", err, k.done)
	}
	if err := l.Unload(ctx, "x1"); !errors.Is(err, context.Canceled) {
		t.Errorf("unload: %v", err)
	}
}

func TestUnload(t *testing.T) {
	l, k := loader(t, Options{FirstTime: true}, nil)
	for name, want := range map[string]error{"nonesuch": ErrNotFound, "inside": ErrBuiltin, "x1": ErrNotLoaded, "x2": syscall.EINVAL} {
		if err := l.Unload(t.Context(), name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if len(k.done) != 0 {
		t.Errorf("done: %v", k.done)
	}
	l, _ = loader(t, Options{}, nil)
	if err := l.Unload(t.Context(), "x1"); err != nil {
		t.Errorf("what is not loaded: %v", err)
	}
}

// TestSeveral has several goroutines use one Loader, and others of their own.
func TestSeveral(t *testing.T) {
	l, k := loader(t, Options{}, nil)
	var wg sync.WaitGroup
	const goroutines, rounds = 8, 20
	for g := range goroutines {
		mine := l
		if g%2 == 0 {
			mine, _ = loader(t, Options{}, nil)
		}
		wg.Go(func() {
			for i := range rounds {
				if err := mine.Load(t.Context(), "many", fmt.Sprintf("n=%d", i)); err != nil {
					t.Error(err)
				}
				if list, err := mine.Lookup("many"); err != nil || len(list) != 3 {
					t.Errorf("%v, %v", list, err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(k.done); n != goroutines/2*rounds*3 {
		t.Errorf("%d modules were loaded", n)
	}
}

func TestClosed(t *testing.T) {
	l, _ := loader(t, Options{}, nil)
	list, err := l.Lookup("many")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(list) == "" || !strings.Contains(list[0].Path, "x3") {
		t.Errorf("what was given before is gone: %v", list)
	}
	if _, err := l.Lookup("x1"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Lookup: %v", err)
	}
	if err := l.Load(t.Context(), "x1"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Load: %v", err)
	}
	if err := l.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
}

// TestGuarded: one request of a process has the guard, and the next when that
// one has ended.
func TestGuarded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("as a user there is no guard, which is what is looked at")
	}
	l, _ := loader(t, Options{}, nil)
	r := &running{ctx: t.Context(), l: l}
	first := r.Guard("a")
	if os.Geteuid() != 0 {
		if first != nil {
			t.Error("a user has a guard")
		}
		return
	}
	if first == nil || r.Guard("b") != nil {
		t.Fatal("not one guard")
	}
	first.Close()
	again := r.Guard("c")
	if again == nil {
		t.Fatal("no guard after the first")
	}
	again.Close()
}
