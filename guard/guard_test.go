// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

func newGuard(t *testing.T) (*Guard, *[]string) {
	t.Helper()
	var lines []string
	g := New(Options{Request: "test", Dir: filepath.Join(t.TempDir(), "run"), Log: func(l string) { lines = append(lines, l) }})
	t.Cleanup(g.Close)
	return g, &lines
}

func TestSubmitGoesAhead(t *testing.T) {
	g, lines := newGuard(t)
	want := errors.New("of the kernel")
	ran := 0
	err := g.Submit(Load{Module: "no_such_module", Path: "/nowhere.ko"}, func() error {
		ran++
		names, _ := os.ReadDir(g.o.Dir)
		if os.Geteuid() == 0 && len(names) != 1 {
			t.Errorf("%d registry entries during the load, want 1", len(names))
		}
		return want
	})
	if err != want || ran != 1 {
		t.Errorf("Submit = %v after %d runs", err, ran)
	}
	if names, _ := os.ReadDir(g.o.Dir); len(names) != 0 {
		t.Errorf("%v left in the registry", names)
	}
	if len(*lines) != 0 {
		t.Errorf("said %q", *lines)
	}
}

// Where descriptors are short, the load has them before the guard.
func TestLastDescriptorIsTheLoads(t *testing.T) {
	g, lines := newGuard(t)
	ran := 0
	err := g.Submit(Load{Module: "no_such_module", Path: "/nowhere.ko"}, func() error {
		if ran++; g.reg.HasDescriptor() {
			return fmt.Errorf("open /nowhere.ko: %w", unix.EMFILE)
		}
		return nil
	})
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	if err != nil || ran != 2 {
		t.Errorf("Submit = %v after %d runs, want success at the second", err, ran)
	}
	if len(*lines) != 1 {
		t.Errorf("said %q, want one line", *lines)
	}
}

func TestFaultsDoNotStop(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "foreign")
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(foreign, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a file": file, "a link": link, "another's": foreign} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			g := New(Options{Dir: dir, Log: func(l string) { lines = append(lines, l) }})
			defer g.Close()
			for range 2 {
				ran := false
				if err := g.Submit(Load{Module: "no_such_module"}, func() error { ran = true; return nil }); err != nil || !ran {
					t.Errorf("Submit = %v, ran %v", err, ran)
				}
			}
			if len(lines) != 1 {
				t.Errorf("said %q, want one line", lines)
			}
		})
	}
}

// TestFewDescriptors: what the guard holds must not be what the load lacks.
func TestFewDescriptors(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	g, lines := newGuard(t)
	ran := 0
	err := g.Submit(Load{Module: "no_such_module"}, func() error {
		if ran++; g.reg.HasDescriptor() {
			return &os.PathError{Op: "open", Path: "/m.ko", Err: unix.EMFILE}
		}
		return nil
	})
	if err != nil || ran != 2 || len(*lines) != 1 {
		t.Errorf("Submit = %v after %d runs, said %q; want nil after 2 and one line", err, ran, *lines)
	}
	ran = 0
	err = g.Submit(Load{Module: "no_such_module"}, func() error { ran++; g.reg.Close(); return unix.EMFILE })
	if err != unix.EMFILE || ran != 1 {
		t.Errorf("with nothing held: Submit = %v after %d runs, want its error after 1", err, ran)
	}
}

func TestCommandCarriesToken(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	g, _ := newGuard(t)
	err := g.Command(Command{Kind: "install", Module: "m", Plain: true}, []string{"A=b", "SAFELOAD_TOKEN=old"}, func(env []string, _ func() int) error {
		found := 0
		for _, kv := range env {
			if v, ok := strings.CutPrefix(kv, "SAFELOAD_TOKEN="); ok {
				found++
				if token, depth, ok := registry.ParseCarried(v); !ok || token != g.token || depth != 1 {
					t.Errorf("token %q", v)
				}
			}
		}
		if found != 1 || env[0] != "A=b" {
			t.Errorf("environment %q", env)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRegistryBelieves(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	g, _ := newGuard(t)
	g.publish(registry.Entry{State: registry.StateWait, Module: "m", Path: "/m.ko"})
	p, err := proc.OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dir := g.o.Dir
	name := proc.Itoa(g.self.PID) + "." + proc.Utoa(g.self.Start)
	good, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), b, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("1.999999999999", good, 0o600) // pid 1 is alive, but never started then
	write("99999999.5", good, 0o600)     // nobody
	write("junk", []byte("junk"), 0o600) // no entry's name
	write("x.y", []byte("junk"), 0o600)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "2.3")); err != nil {
		t.Fatal(err)
	}
	all, err := g.reg.Read(p)
	if err != nil || len(all) != 1 || all[0].PID != os.Getpid() || all[0].Module != "m" {
		t.Errorf("read %v, %v", all, err)
	}
	for _, gone := range []string{"1.999999999999", "99999999.5"} {
		if _, err := os.Lstat(filepath.Join(dir, gone)); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
		t.Fatal(err)
	}
	if all, _ = g.reg.Read(p); len(all) != 0 {
		t.Errorf("an entry that others can read was believed: %v", all)
	}
}

// TestDepth: an invocation below another's command says which, and how deep.
func TestDepth(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root publishes")
	}
	above := registry.NewToken()
	t.Setenv(registry.TokenVariable, registry.Carry(above, 3))
	g, _ := newGuard(t)
	_ = g.Command(Command{Kind: "install", Module: "m", Plain: true}, nil, func(env []string, _ func() int) error {
		p, err := proc.OpenProc()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		all, err := g.reg.Read(p)
		if err != nil || len(all) != 1 || all[0].Parent != above || all[0].Depth != 3 {
			t.Errorf("registry: %+v, %v", all, err)
		}
		if want := registry.TokenVariable + "=" + registry.Carry(g.token, 4); len(env) != 1 || env[0] != want {
			t.Errorf("environment %q, want %q", env, want)
		}
		return nil
	})
}

func TestRemembers(t *testing.T) {
	g, _ := newGuard(t)
	a, b, k, w := &observe.Task{}, &observe.Task{}, &observe.Task{}, &observe.Task{}
	a.TID, a.Start, b.TID, b.Start = 7, 8, 7, 9
	k.TID, k.Start, k.Flags, w.TID, w.Flags = 20, 30, observetest.Kernel, 21, observetest.Worker
	g.remember("m", []*observe.Task{a}, k)
	for name, tt := range map[string]struct {
		module string
		owners []*observe.Task
		tie    *observe.Task
		want   bool
	}{
		"the same load":               {"m", []*observe.Task{a}, k, true},
		"the pid again":               {"m", []*observe.Task{b}, k, false},
		"another module":              {"n", []*observe.Task{a}, k, false},
		"nobody knows whose":          {"m", []*observe.Task{a, b}, k, false},
		"a path":                      {"../m", []*observe.Task{a}, k, false},
		"a stranger's kernel thread":  {"m", []*observe.Task{a}, &observe.Task{Stat: proc.Stat{TID: 22, Start: 31, Flags: observetest.Kernel}}, false},
		"no kernel thread in between": {"m", []*observe.Task{a}, nil, false},
	} {
		if got := g.remembers(tt.module, tt.owners, tt.tie); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	g.remember("m", []*observe.Task{b}, nil)
	if !g.remembers("m", []*observe.Task{b}, nil) || g.remembers("m", []*observe.Task{a}, nil) {
		t.Error("the later load is not the one remembered")
	}
	g.remember("w", []*observe.Task{a}, w)
	if g.remembers("w", []*observe.Task{a}, w) {
		t.Error("what a worker was at is taken for what it is at")
	}
}

// EINTR is init's answer, unless it was waited for another's.
func TestInterrupted(t *testing.T) {
	g := New(Options{Dir: t.TempDir()})
	defer g.Close()
	calls := 0
	err := g.Submit(Load{Module: "no_such_module"}, func() error { calls++; return unix.EINTR })
	if !errors.Is(err, unix.EINTR) || calls != 1 {
		t.Errorf("%d submits, %v; want 1, EINTR", calls, err)
	}
	for _, c := range []struct {
		err  error
		now  proc.ModuleState
		want bool
	}{
		{unix.EINTR, proc.Coming, true},
		{unix.EINTR, proc.Live, true},
		{unix.EINTR, proc.Absent, false},
		{unix.EINTR, proc.Going, false},
		{unix.EINTR, proc.Unknown, false},
		{unix.EBUSY, proc.Coming, false},
		{nil, proc.Live, false},
	} {
		if got := interrupted(c.err, c.now); got != c.want {
			t.Errorf("%v, module %v: %v, want %v", c.err, c.now, got, c.want)
		}
	}
}
