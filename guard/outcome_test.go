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
	g.identify()
	c := &contest{g: g, l: Load{Module: "m", Path: "/m.ko", file: inode{1, 2}}, proc: p, began: 100, seen: 200}
	if err := g.reg.open(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOutcome: which record is the result of the load that was waited for.
func TestOutcome(t *testing.T) {
	boot := bootID()
	if boot == "" {
		t.Skip("no boot_id")
	}
	shared := unix.ENODEV
	if !sharesResults() {
		shared = unix.EBUSY
	}
	ours := failure{file: inode{1, 2}, byFile: true, errno: unix.ENODEV, since: 50, ended: 250, boot: boot}
	for name, tt := range map[string]struct {
		change func(f *failure)
		mode   os.FileMode
		uid    int
		want   unix.Errno // 0: not believed
	}{
		"of the load that we saw":                    {want: shared},
		"of another file":                            {change: func(f *failure) { f.file.ino++ }, want: unix.EBUSY},
		"of another device":                          {change: func(f *failure) { f.file.dev++ }, want: unix.EBUSY},
		"by init_module":                             {change: func(f *failure) { f.byFile = false }, want: unix.EBUSY},
		"it began after us":                          {change: func(f *failure) { f.since = 101 }},
		"it ended before us":                         {change: func(f *failure) { f.ended = 99 }},
		"it ended before we last saw ours under way": {change: func(f *failure) { f.ended = 199 }},
		"of another boot":                            {change: func(f *failure) { f.boot = "another" }},
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
			if err := os.WriteFile(file, f.format(), 0o600); err != nil {
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
				if verdict != Again {
					t.Errorf("verdict %d, result %v; want another try", verdict, c.g.result)
				}
				return
			}
			if verdict != Failed || refused != nil || !errors.Is(c.g.result, tt.want) {
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
	g.own.since = clock.Boot()
	fail := func(errno unix.Errno) error { return &finit.Error{Op: "finit_module", Module: "m", Errno: errno} }
	if err := g.reg.publish(entry{pid: g.self.pid, start: g.self.start, token: newToken(), state: stateLoad, module: "m"}); err != nil {
		t.Fatal(err)
	}
	g.tell(c.l, fail(unix.ENODEV), false)
	if _, ok := g.reg.failure("m"); ok {
		t.Error("a record for nobody")
	}
	if err := os.WriteFile(filepath.Join(g.o.Dir, "1.1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g.tell(c.l, fail(unix.ENODEV), false)
	g.tell(c.l, fail(unix.ENOMEM), true)
	f, ok := g.reg.failure("m")
	if !ok || f.errno != unix.ENODEV || f.file != c.l.file || !f.byFile || f.since != g.own.since || f.ended < f.since {
		t.Errorf("%+v %v, want that of ENODEV", f, ok)
	}
	if err := os.Remove(filepath.Join(g.o.Dir, "failed-m")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/null", filepath.Join(g.o.Dir, "failed-m")); err != nil {
		t.Fatal(err)
	}
	if _, ok := g.reg.failure("m"); ok {
		t.Error("a link is followed")
	}
}

// TestLooked: whose look is believed.
func TestLooked(t *testing.T) {
	now := clock.Boot()
	for name, tt := range map[string]struct {
		l    looked
		want bool
	}{
		"since we are here": {looked{began: now, ended: now, strangers: true, waiting: 2}, true},
		"not all are":       {looked{began: now, ended: now, waiting: 2}, false},
		"before we were":    {looked{began: 1, ended: now, strangers: true, waiting: 2}, false},
		"in the future":     {looked{began: now, ended: now + 1<<50, strangers: true, waiting: 2}, false},
		"of another boot":   {looked{began: now, ended: now, strangers: true, waiting: 2, boot: "another"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := waiter(t)
			c.helper, c.g.self.start = 2, 1 // a helper of the kernel
			if tt.l.boot == "" {
				tt.l.boot = bootID()
			}
			if err := c.g.reg.replace(lookedName, ".temp", tt.l.format()); err != nil {
				t.Fatal(err)
			}
			if _, strangers := c.holdOff(); strangers != tt.want {
				t.Errorf("all are strangers: %v, want %v", strangers, tt.want)
			}
		})
	}
	c := waiter(t)
	c.helper, c.g.self.start = 2, 0 // nobody knows since when we are here
	l := looked{began: now, ended: now, strangers: true, waiting: 2, boot: bootID()}
	if err := c.g.reg.replace(lookedName, ".temp", l.format()); err != nil {
		t.Fatal(err)
	}
	if _, strangers := c.holdOff(); strangers {
		t.Error("believed by one who does not know when he began")
	}
}
