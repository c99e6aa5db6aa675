// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"safeload/bpf"
	"safeload/internal/proc"
)

// processes are made-up ones of /proc.
type processes struct {
	t   *testing.T
	dir string
}

func (p *processes) put(pid int, file, text string) {
	p.t.Helper()
	name := filepath.Join(p.dir, fmt.Sprint(pid), file)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// status is of a process with one thread; more are lines besides.
func (p *processes) status(pid, parent, uid int, comm, more string) {
	text := fmt.Sprintf("Name:\t%s\nState:\tS (sleeping)\nPid:\t%d\nPPid:\t%d\nUid:\t%d\t%d\t%d\t%d\n%sThreads:\t1\nCapEff:\t0\n", comm, pid, parent, uid, uid, uid, uid, more)
	p.put(pid, "status", text)
	p.put(pid, filepath.Join("task", fmt.Sprint(pid), "status"), text)
}

func TestWho(t *testing.T) {
	p := &processes{t, t.TempDir()}
	p.status(1, 0, 0, "init", "VmSize:\t1 kB\n")
	p.status(2, 0, 0, "kthreadd", "Kthread:\t1\n")
	p.status(30, 1, 0, "shim", "VmSize:\t1 kB\n")
	p.status(31, 30, 1000, "sh", "NStgid:\t31\t1\nVmSize:\t1 kB\n")
	p.status(33, 31, 1000, "mount", "NStgid:\t33\t5\t2\nVmSize:\t1 kB\n")
	p.put(33, "loginuid", "1000")
	p.put(33, "cgroup", "1:name=systemd:/elsewhere\n0::/pods/docker-0123456789abcdef.scope\n")
	p.status(40, 2, 0, "kworker/u4:2+events_unbound", "Kthread:\t1\n")
	p.put(40, "loginuid", "4294967295")
	p.put(40, "cgroup", "0::/\n")
	dir, err := proc.OpenDir(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	tasks := &Tasks{proc: dir}
	defer tasks.Close()
	login := uint32(1000)
	for _, c := range []struct {
		name string
		pid  uint32
		comm string
		want *Who
	}{
		{"in a container", 33, "mount", &Who{UID: 1000, Login: &login, Unit: "docker-0123456789abcdef.scope", Container: "docker-0123456789ab", Cgroup: "/pods/docker-0123456789abcdef.scope",
			Inside: []uint32{5, 2}, Ancestors: []Ancestor{{31, "sh"}, {30, "shim"}, {1, "init"}}}},
		{"runs another program by now", 33, "modprobe", nil},
		{"its name is not known", 33, "<...>", nil},
		{"a worker, whose queue /proc adds", 40, "kworker/u4:2", &Who{Ancestors: []Ancestor{{2, "kthreadd"}}}},
		{"gone", 77, "mount", nil},
	} {
		if c.comm == "<...>" {
			c.want = tasks.Who(&bpf.Event{ID: 9, TGID: 33, TID: 33, Comm: "mount"})
		}
		got := tasks.Who(&bpf.Event{ID: 1, TGID: c.pid, TID: c.pid, Comm: c.comm})
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	want := "uid 1000, login 1000, docker-0123456789abcdef.scope, container docker-0123456789ab, there pid 2"
	if got := tasks.Who(&bpf.Event{ID: 1, TGID: 33, TID: 33, Comm: "mount"}).String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWhoOnce: a record and the journal that ask of one event have one answer, from one look.
func TestWhoOnce(t *testing.T) {
	p := &processes{t, t.TempDir()}
	p.status(9, 1, 7, "x", "VmSize:\t1 kB\n")
	dir, err := proc.OpenDir(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	tasks := &Tasks{proc: dir}
	defer tasks.Close()
	e := bpf.Event{Kind: bpf.Request, ID: 1, TID: 9, TGID: 9, Comm: "x"}
	first := tasks.Who(&e)
	p.status(9, 1, 8, "x", "VmSize:\t1 kB\n")
	if second := tasks.Who(&e); first == nil || second != first {
		t.Errorf("%v, then %v", first, second)
	}
	e.ID = 2
	if third := tasks.Who(&e); third == nil || third.UID != 8 {
		t.Errorf("of the next event %v", third)
	}
}

func TestCgroup(t *testing.T) {
	for in, want := range map[string]string{
		"0::/system.slice/ssh.service\n":       "/system.slice/ssh.service",
		"0::/\n":                               "",
		"4:pids:/a\n1:name=systemd:/b\n0::/\n": "/b",
		"4:pids:/a\n1:name=systemd:/\n0::/\n":  "/a",
		"1:name=systemd:/b\n0::/c:d\n":         "/c:d",
		"":                                     "", "nonsense": "",
	} {
		if got := cgroupOf(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
