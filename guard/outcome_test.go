// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/clock"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// waiter is a contest that has seen a load of module m from 100 to 200.
func waiter(t *testing.T) *contest {
	t.Helper()
	p, err := proc.OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	g := New(Options{Dir: t.TempDir()})
	t.Cleanup(g.Close)
	g.self.Identify()
	c := &contest{g: g, l: Load{Module: "m", Path: "/m.ko", file: registry.Inode{Dev: 1, Ino: 2}}, proc: p, began: 100, seen: 200}
	if err := g.reg.Open(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOutcome: which record is the result of the load that was waited for.
func TestOutcome(t *testing.T) {
	boot := registry.BootID()
	if boot == "" {
		t.Skip("no boot_id")
	}
	shared := unix.ENODEV
	if !sharesResults() {
		shared = unix.EBUSY
	}
	ours := registry.Failure{File: registry.Inode{Dev: 1, Ino: 2}, ByFile: true, Errno: unix.ENODEV, Since: 50, Ended: 250, Boot: boot}
	for name, tt := range map[string]struct {
		change func(f *registry.Failure)
		mode   os.FileMode
		uid    int
		want   unix.Errno // 0: not believed
	}{
		"of the load that we saw":                    {want: shared},
		"of another file":                            {change: func(f *registry.Failure) { f.File.Ino++ }, want: unix.EBUSY},
		"of another device":                          {change: func(f *registry.Failure) { f.File.Dev++ }, want: unix.EBUSY},
		"by init_module":                             {change: func(f *registry.Failure) { f.ByFile = false }, want: unix.EBUSY},
		"it began after us":                          {change: func(f *registry.Failure) { f.Since = 101 }},
		"it ended before us":                         {change: func(f *registry.Failure) { f.Ended = 99 }},
		"it ended before we last saw ours under way": {change: func(f *registry.Failure) { f.Ended = 199 }},
		"of another boot":                            {change: func(f *registry.Failure) { f.Boot = "another" }},
		"others could have written":                  {mode: 0o622},
		"another's file":                             {uid: 12345},
	} {
		t.Run(name, func(t *testing.T) {
			c := waiter(t)
			f := ours
			if tt.change != nil {
				tt.change(&f)
			}
			file := filepath.Join(c.g.o.Dir, "failed-m")
			if err := os.WriteFile(file, f.Format(), 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.mode != 0 {
				if err := os.Chmod(file, tt.mode); err != nil {
					t.Fatal(err)
				}
			}
			if tt.uid != 0 {
				if unix.Geteuid() != 0 {
					t.Skip("only root gives a file away")
				}
				if err := os.Chown(file, tt.uid, 0); err != nil {
					t.Fatal(err)
				}
			}
			verdict, refused := c.outcome()
			if tt.want == 0 {
				if verdict != verdictAgain {
					t.Errorf("verdict %d, result %v; want another try", verdict, c.g.result)
				}
				return
			}
			if verdict != verdictFailed || refused != nil || !errors.Is(c.g.result, tt.want) {
				t.Errorf("verdict %d, result %v; want failed, %v", verdict, c.g.result, tt.want)
			}
		})
	}
}

// TestTold: which failures are the load's, and not only those of one who asked.
func TestTold(t *testing.T) {
	for _, tt := range []struct {
		op       string
		errno    unix.Errno
		followed bool
		want     bool
	}{
		{"finit_module", unix.ENODEV, false, true},
		{"init_module", unix.ENODEV, false, true},
		{"finit_module", unix.EPERM, false, true}, // init may return it
		{"finit_module", unix.ENODEV, true, sharesResults()},
		{"init_module", unix.EBUSY, true, false},
		{"init_module", unix.ENODEV, true, false},
		{"finit_module", unix.EPERM, true, false},
		{"finit_module", unix.EINTR, true, false},
		{"finit_module", unix.EEXIST, false, false},
		{"open", unix.ENOENT, false, false},
		{"decompress", unix.EINVAL, false, false},
	} {
		e := &finit.Error{Op: tt.op, Errno: tt.errno}
		if got := told(e, tt.followed); got != tt.want {
			t.Errorf("%s, %v, followed %v: told %v, want %v", tt.op, tt.errno, tt.followed, got, tt.want)
		}
	}
}

// TestTell: the first record of a load stays, and is there only if others wait.
func TestTell(t *testing.T) {
	c := waiter(t)
	g := c.g
	g.own.Since = clock.Boot()
	fail := func(errno unix.Errno) error { return &finit.Error{Op: "finit_module", Module: "m", Errno: errno} }
	if err := g.reg.Publish(registry.Entry{PID: g.self.PID, Start: g.self.Start, Token: registry.NewToken(), State: registry.StateLoad, Module: "m"}); err != nil {
		t.Fatal(err)
	}
	g.tell(c.l, fail(unix.ENODEV), false)
	if _, ok := g.reg.LastFailure("m"); ok {
		t.Error("a record for nobody")
	}
	if err := os.WriteFile(filepath.Join(g.o.Dir, "1.1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.tell(c.l, fail(unix.ENODEV), false)
	g.tell(c.l, fail(unix.ENOMEM), true)
	f, ok := g.reg.LastFailure("m")
	if !ok || f.Errno != unix.ENODEV || f.File != c.l.file || !f.ByFile || f.Since != g.own.Since || f.Ended < f.Since {
		t.Errorf("%+v %v, want that of ENODEV", f, ok)
	}
	if err := os.Remove(filepath.Join(g.o.Dir, "failed-m")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(g.o.Dir, "failed-m")); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.reg.LastFailure("m"); ok {
		t.Error("a link is followed")
	}
}

// TestLooked: whose look is believed.
func TestLooked(t *testing.T) {
	now := clock.Boot()
	for name, tt := range map[string]struct {
		l    registry.Look
		want bool
	}{
		"since we are here": {registry.Look{Began: now, Ended: now, Strangers: true, Waiting: 2}, true},
		"not all are":       {registry.Look{Began: now, Ended: now, Waiting: 2}, false},
		"before we were":    {registry.Look{Began: 1, Ended: now, Strangers: true, Waiting: 2}, false},
		"in the future":     {registry.Look{Began: now, Ended: now + 1<<50, Strangers: true, Waiting: 2}, false},
		"of another boot":   {registry.Look{Began: now, Ended: now, Strangers: true, Waiting: 2, Boot: "another"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := waiter(t)
			c.helper, c.g.self.Start = 2, 1 // a helper of the kernel
			if tt.l.Boot == "" {
				tt.l.Boot = registry.BootID()
			}
			if err := os.WriteFile(filepath.Join(c.g.o.Dir, "looked"), tt.l.Format(), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, strangers := c.holdOff(); strangers != tt.want {
				t.Errorf("all are strangers: %v, want %v", strangers, tt.want)
			}
		})
	}
	c := waiter(t)
	c.helper, c.g.self.Start = 2, 0 // nobody knows since when we are here
	l := registry.Look{Began: now, Ended: now, Strangers: true, Waiting: 2, Boot: registry.BootID()}
	if err := os.WriteFile(filepath.Join(c.g.o.Dir, "looked"), l.Format(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, strangers := c.holdOff(); strangers {
		t.Error("believed by one who does not know when he began")
	}
}
