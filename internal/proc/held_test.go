// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// recorded is a procfs of the files that are needed here. What never answers is a
// channel: the VM case held has real ones.
type recorded struct {
	*FS
	t   *testing.T
	dir string
}

func newRecorded(t *testing.T) *recorded {
	dir := t.TempDir()
	f, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &recorded{f, t, dir}
}

func (r *recorded) process(pid, uid int, caps string, more string) {
	r.t.Helper()
	d := filepath.Join(r.dir, Itoa(pid))
	if err := os.MkdirAll(d, 0o755); err != nil {
		r.t.Fatal(err)
	}
	status := fmt.Sprintf("Name:\ta\\\\b\\nc\nState:\tS (sleeping)\nPid:\t%d\nPPid:\t7\nUid:\t%d\t%d\t%d\t%d\nVmSize:\t9 kB\n%sThreads:\t1\nCapEff:\t%s\n",
		pid, uid, uid, uid, uid, more, caps)
	stat := fmt.Sprintf("%d (x) S 7 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0\n", pid)
	for name, text := range map[string]string{"status": status, "stat": stat} {
		if err := os.WriteFile(filepath.Join(d, name), []byte(text), 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
}

// ask is a read of a process that does not end until release is closed.
func ask(p *FS, pid int, release chan struct{}) bool {
	return p.Ask(pid, func() { <-release })
}

const (
	allCaps = "000001ffffffffff"
	noCaps  = "0000000000000000"
	text    = "VmExe:\t4 kB\n"
)

func TestBounded(t *testing.T) {
	r := newRecorded(t)
	r.process(10, 0, allCaps, text)
	r.process(11, 1000, noCaps, text)
	release := make(chan struct{})
	looks, beyond := 0, 0
	var stuck bool
	var held, free Stat
	look := func(p *FS) {
		looks++
		if stuck = ask(p, 11, release); stuck {
			beyond++
		}
		held, _ = p.ProcessStat(11)
		free, _ = p.ProcessStat(10)
	}
	r.Bounded(look)
	if stuck || looks != 2 || beyond != 0 {
		t.Errorf("%d looks, %d of them went on after a read that never ended", looks, beyond)
	}
	if !held.Held || held.State != 'R' || held.PPID != 7 || held.Comm != "a\\b\nc" || held.Start <= free.Start {
		t.Errorf("the held one is %+v", held)
	}
	if free.Held || free.Start != 77 || free.State != 'S' {
		t.Errorf("the other one is %+v", free)
	}
	if r.Bounded(look); stuck || looks != 3 {
		t.Errorf("asked again while a thread is left behind: %d looks", looks)
	}
	close(release) // the thread that was left behind ends, and says so
	for gone := false; !gone; {
		r.holds.mu.Lock()
		gone = len(r.holds.at) == 0
		r.holds.mu.Unlock()
		runtime.Gosched()
	}
	if r.Bounded(look); !stuck || held.Held {
		t.Error("not asked again when the thread had come back")
	}
	if beyond != 1 {
		t.Errorf("%d looks went on, one should", beyond)
	}
}

// A user's tasks do not keep root's from being asked, however many are held.
func TestBoundedMany(t *testing.T) {
	r := newRecorded(t)
	release := make(chan struct{})
	defer close(release)
	const users = 40
	for pid := 100; pid < 100+users; pid++ {
		r.process(pid, 1000, allCaps, text)
	}
	r.process(10, 0, allCaps, text)
	var root Stat
	var left int
	looks := 0
	r.Bounded(func(p *FS) {
		looks++
		left = 0
		for pid := 100; pid < 100+users; pid++ {
			if !ask(p, pid, release) {
				left++
			}
		}
		root, _ = p.ProcessStat(10)
	})
	if root.Held || root.Start != 77 {
		t.Errorf("root's is %+v", root)
	}
	if looks != leftOthers+1 || left != users {
		t.Errorf("%d looks, %d tasks left alone", looks, left)
	}
}

// One in execve is known by its memory, and costs no thread.
func TestExecutes(t *testing.T) {
	r := newRecorded(t)
	r.process(10, 0, allCaps, "VmExe:\t0 kB\n")
	looks := 0
	r.Bounded(func(p *FS) {
		looks++
		if s, err := p.ProcessStat(10); err != nil || !s.Held || p.GivenUp() != 1 {
			t.Errorf("%+v, %v", s, err)
		}
	})
	if looks != 1 {
		t.Errorf("%d looks", looks)
	}
}

func TestBoundedPanics(t *testing.T) {
	r := newRecorded(t)
	defer func() {
		if recover() != "a fault" {
			t.Error("the panic is lost")
		}
	}()
	r.Bounded(func(*FS) { panic("a fault") })
}

// The outline of this very machine's tasks is what their stat says.
func TestOutlineLive(t *testing.T) {
	p, err := OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	self := unix.Getpid()
	o, err := p.Outline(self, self)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.ProcessStat(self)
	if err != nil {
		t.Fatal(err)
	}
	if o.TID != s.TID || o.PPID != s.PPID || o.Comm != s.Comm || o.Kthread() || o.Executes || o.User != int64(unix.Geteuid()) {
		t.Errorf("outline %+v, stat %+v", o, s)
	}
}

func FuzzOutline(f *testing.F) {
	f.Add([]byte("Name:\tx\nState:\tS\nPPid:\t2\nCapEff:\tff\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, ok := parseOutline(b); ok && o.State == 0 {
			t.Error("a state that is none")
		}
	})
}
