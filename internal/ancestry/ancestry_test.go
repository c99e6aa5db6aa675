// SPDX-License-Identifier: Apache-2.0

package ancestry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
)

// kernelMaps are maps of the probe's layout in the running kernel.
type kernelMaps struct {
	*Maps
	t     *testing.T
	links uint32

	tasks, loads, requests, names, flags, creating, owner *ebpf.Map
}

func newMaps(t *testing.T) *kernelMaps {
	t.Helper()
	k := &kernelMaps{t: t}
	mk := func(typ ebpf.MapType, key, value uint32) *ebpf.Map {
		n := uint32(1024)
		if typ == ebpf.Array {
			n = 1
		}
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: typ, KeySize: key, ValueSize: value, MaxEntries: n})
		if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, os.ErrPermission) {
			t.Skipf("this kernel does not let us make BPF maps: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	k.tasks, k.loads = mk(ebpf.Hash, 4, taskSize), mk(ebpf.Hash, 8, loadSize)
	k.requests, k.names = mk(ebpf.Hash, 8, requestSize), mk(ebpf.Hash, nameLen, 8)
	k.flags, k.owner = mk(ebpf.Array, 4, flagsSize), mk(ebpf.Array, 4, ownerSize)
	k.creating = mk(ebpf.Hash, 4, layout.MakingSize)
	k.Maps = &Maps{tasks: k.tasks.FD(), loads: k.loads.FD(), requests: k.requests.FD(), names: k.names.FD(),
		flags: k.flags.FD(), creating: k.creating.FD(), owner: k.owner.FD(), keeper: -1, buf: new(buffers)}
	t.Cleanup(func() { unix.Close(k.keeper) })
	k.keep(os.Getpid(), true)
	return k
}

func (k *kernelMaps) put(m *ebpf.Map, key, value any) {
	k.t.Helper()
	if err := m.Put(key, value); err != nil {
		k.t.Fatal(err)
	}
}

// startTime is field 22 of /proc/PID/stat.
func startTime(t *testing.T, pid int) uint64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	start, err := strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return start
}

func (k *kernelMaps) keep(pid int, whole bool) {
	k.t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	unix.Close(k.keeper)
	k.keeper = fd
	k.own(pid, startTime(k.t, pid), abi, whole)
}

func (k *kernelMaps) own(pid int, start uint64, version uint32, whole bool) {
	k.t.Helper()
	v := binary.LittleEndian.AppendUint64(nil, start)
	v = binary.LittleEndian.AppendUint64(v, 0)
	complete := uint32(0)
	if whole {
		complete = 1
	}
	for _, w := range []uint32{version, uint32(pid), complete, 1, k.links, 0} {
		v = binary.LittleEndian.AppendUint32(v, w)
	}
	k.put(k.owner, uint32(0), v)
}

func (k *kernelMaps) task(pid int, ctx uint64) {
	v := make([]byte, taskSize)
	binary.LittleEndian.PutUint64(v, ctx)
	k.put(k.tasks, uint32(pid), v)
}

func (k *kernelMaps) load(id uint64, name string, l load) {
	v := make([]byte, loadSize)
	for i, w := range []uint64{id, 0, 0, l.req, l.kreq, l.wait} {
		binary.LittleEndian.PutUint64(v[i*8:], w)
	}
	binary.LittleEndian.PutUint32(v[64:], l.tid)
	binary.LittleEndian.PutUint32(v[72:], l.flags)
	copy(v[88:], name)
	binary.LittleEndian.PutUint32(v[152:], l.rests)
	binary.LittleEndian.PutUint32(v[156:], l.spawns)
	k.put(k.loads, id, v)
	var key [nameLen]byte
	copy(key[:], name)
	k.put(k.names, key, id)
}

func (k *kernelMaps) request(r request) {
	v := make([]byte, requestSize)
	for i, w := range []uint64{r.id, 0, r.load, r.parent, r.next} {
		binary.LittleEndian.PutUint64(v[i*8:], w)
	}
	for i, w := range []uint32{r.tid, r.tid, r.child, r.hop} {
		binary.LittleEndian.PutUint32(v[40+i*4:], w)
	}
	if r.many {
		v[56] = 1
	}
	copy(v[64:], r.name)
	k.put(k.requests, r.id, v)
}

func TestDecide(t *testing.T) {
	const me = 500
	for _, c := range []struct {
		name   string
		set    func(k *kernelMaps)
		module string
		want   Answer
		hops   int
		others []Waiting
	}{
		{"not known", func(k *kernelMaps) {}, "a", Unknown, 0, nil},
		{"nobody's child", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100})
		}, "a", Independent, 0, nil},
		{"maps not whole", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100})
			k.keep(os.Getpid(), false)
		}, "a", Unknown, 0, nil},
		{"a map was full", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100})
			k.put(k.flags, uint32(0), append([]byte{8: 1}, make([]byte, flagsSize-9)...))
		}, "a", Unknown, 0, nil},
		{"itself", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: me, hop: hopTask, name: "alias"})
			k.task(me, 10)
		}, "a", Proven, 1, nil},
		{"its load has no place in the table", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100})
			if err := k.loads.Delete(uint64(1)); err != nil {
				k.t.Fatal(err)
			}
		}, "a", Unknown, 0, nil},
		{"its load has no place in the table, and we are a helper", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100})
			if err := k.loads.Delete(uint64(1)); err != nil {
				k.t.Fatal(err)
			}
			k.request(request{id: 10, tid: 150, child: me})
			k.task(me, 10)
		}, "a", Unknown, 0, nil},
		{"through another", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: 200, hop: hopTask, next: 2})
			k.load(2, "b", load{tid: 200, req: 11})
			k.request(request{id: 11, load: 2, parent: 10, tid: 200, child: me, hop: hopTask})
			k.task(me, 11)
		}, "a", Proven, 2, nil},
		{"a request that no load made, between", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: 200, hop: hopTask})
			k.request(request{id: 11, parent: 10, tid: 201, child: me})
			k.task(me, 11)
		}, "a", Proven, 2, nil},
		{"the request is over", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100})
			k.task(me, 10)
		}, "a", Independent, 0, nil},
		{"by a kernel thread, its load awake", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, kreq: 10})
			k.request(request{id: 10, load: 1, tid: 150, child: me, hop: hopKthread})
			k.task(me, 10)
		}, "a", Likely, 1, nil},
		{"by a kernel thread, its load asleep for a moment or for good", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, kreq: 10, flags: loadBlocked})
			k.request(request{id: 10, load: 1, tid: 150, child: me, hop: hopKthread})
			k.task(me, 10)
		}, "a", Likely, 1, nil},
		{"two tasks crossing", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: 200, hop: hopTask, next: 2}) // waits for b
			k.load(2, "b", load{tid: 300, req: 11})
			k.request(request{id: 11, load: 2, tid: 300, child: me, hop: hopTask})
			k.task(me, 11)
		}, "a", Proven, 2, nil},
		{"two tasks, not crossing yet", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: 200, hop: hopTask})
			k.load(2, "b", load{tid: 300, req: 11})
			k.request(request{id: 11, load: 2, tid: 300, child: me, hop: hopTask})
			k.task(me, 11)
		}, "a", Independent, 0, nil},
		{"crossing with one that waits in user space", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: 200, hop: hopTask})
			k.task(200, 10)
			k.load(2, "b", load{tid: 300, req: 11})
			k.request(request{id: 11, load: 2, tid: 300, child: me, hop: hopTask})
			k.task(me, 11)
		}, "a", Unknown, 0, []Waiting{{200, "b"}}},
		{"beside one that waits in user space", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100})
			k.load(2, "b", load{tid: 300, req: 11})
			k.request(request{id: 11, load: 2, tid: 300, child: me, hop: hopTask})
			k.task(me, 11)
		}, "a", Independent, 0, []Waiting{{200, "b"}}},
		{"crossing, below a request that no load made", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, wait: 2})
			k.load(2, "b", load{tid: 300, req: 11})
			k.request(request{id: 11, load: 2, tid: 300, child: 301, hop: hopTask})
			k.request(request{id: 12, parent: 11, tid: 301, child: me})
			k.task(me, 12)
		}, "a", Proven, 1, nil},
		{"crossing, with one that waits for who knows what", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, flags: loadWaits})
			k.put(k.loads, uint64(1), func() []byte { v := make([]byte, loadSize); v[0], v[72] = 1, loadWaits; return v }())
			k.load(2, "b", load{tid: 300, req: 11})
			k.request(request{id: 11, load: 2, tid: 300, child: me, hop: hopTask})
			k.task(me, 11)
		}, "a", Unknown, 0, nil},
		{"crossing, by a name that shows only later", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: 200, hop: hopTask, next: 3})
			k.load(3, "b", load{tid: 200, flags: loadWaits})
			k.load(2, "b", load{tid: 300, req: 11})
			k.request(request{id: 11, load: 2, tid: 300, child: me, hop: hopTask})
			k.task(me, 11)
		}, "a", Proven, 2, nil},
		{"several below one request", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, req: 10})
			k.request(request{id: 10, load: 1, tid: 100, child: 200, hop: hopTask, many: true})
			k.request(request{id: 11, tid: 300, child: me})
			k.task(me, 11)
		}, "a", Unknown, 0, nil},
		{"a loop that we are not in", func(k *kernelMaps) {
			k.load(1, "a", load{tid: 100, wait: 2})
			k.load(2, "b", load{tid: 300, wait: 1})
			k.task(me, 11)
		}, "a", Independent, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaps(t)
			c.set(k)
			v, hops := k.Decide(c.module, me, c.others)
			if v != c.want || len(hops) != c.hops {
				t.Errorf("Decide = %v, %+v; want %v with %d hops", v, hops, c.want, c.hops)
			}
		})
	}
}

func TestRequester(t *testing.T) {
	k := newMaps(t)
	k.load(1, "a", load{tid: 100, kreq: 10})
	k.request(request{id: 10, load: 1, tid: 150, child: 200, hop: hopKthread})
	k.task(200, 10)
	k.task(201, 10) // a child of the helper's
	if tid, ok := k.Requester(200); !ok || tid != 150 {
		t.Errorf("Requester(helper) = %d, %v", tid, ok)
	}
	if tid, ok := k.StartedBy(150); !ok || tid != 100 {
		t.Errorf("StartedBy(thread) = %d, %v", tid, ok)
	}
	for range 3 {
		if _, ok := k.Requester(200); !ok || len(k.seen) != 1 {
			t.Errorf("asked again: %v, keeps %d requests", ok, len(k.seen))
		}
	}
	if tid, ok := k.Requester(201); ok {
		t.Errorf("Requester(not a helper) = %d", tid)
	}
	if tid, ok := k.StartedBy(151); ok {
		t.Errorf("StartedBy(no thread of ours) = %d", tid)
	}
}

// keeper starts a process that lives until the test ends it.
func keeper(t *testing.T) *exec.Cmd {
	t.Helper()
	c := exec.Command("sleep", "600")
	if err := c.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

// What a probe leaves that was killed is no answer, even before it is reaped.
func TestKeeperEnds(t *testing.T) {
	me, k, c := os.Getpid(), newMaps(t), keeper(t)
	k.load(1, "a", load{tid: 100, req: 10})
	k.request(request{id: 10, load: 1, tid: 100, child: uint32(me), hop: hopTask})
	k.task(me, 10)
	k.keep(c.Process.Pid, true)
	if v, _ := k.Decide("a", me, nil); v != Proven {
		t.Fatalf("while it lives: %v", v)
	}
	if _, ok := k.Requester(me); !ok {
		t.Fatal("while it lives: no requester")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for k.kept() {
		time.Sleep(time.Millisecond)
	}
	if v, _ := k.Decide("a", me, nil); v != Unknown {
		t.Errorf("after its end: %v", v)
	}
	if _, ok := k.Requester(me); ok {
		t.Error("after its end: a requester")
	}
	if k.Whole() {
		t.Error("after its end: whole")
	}
}

// Pinned maps are taken from root's own directory, named after a process that
// lives, of which they say the same, in the layout that is known.
func TestOpenPinned(t *testing.T) {
	k, c := newMaps(t), keeper(t)
	root := t.TempDir()
	if err := unix.Mount("bpf", root, "bpf", 0, ""); err != nil {
		t.Skipf("mount a bpffs: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(root, unix.MNT_DETACH) })
	pid := c.Process.Pid
	start := startTime(t, pid)
	dir := root + "/safeload"
	own := fmt.Sprintf("%s/%d-%d", dir, pid, start)
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(own, 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*ebpf.Map{"tasks": k.tasks, "loads": k.loads, "requests": k.requests,
		"names": k.names, "flags": k.flags, "creating": k.creating, "owner": k.owner} {
		if err := m.Pin(own + "/" + name); err != nil {
			t.Fatal(err)
		}
	}
	other := keeper(t).Process.Pid
	for _, c := range []struct {
		name string
		set  func()
		want bool
	}{
		{"a live probe's", func() { k.own(pid, start, abi, true) }, true},
		{"of another layout, as after an upgrade", func() { k.own(pid, start, abi+1, true) }, false},
		{"that say that another keeps them", func() { k.own(other, startTime(t, other), abi, true) }, false},
		{"of an earlier process of that pid", func() { k.own(pid, start-1, abi, true) }, false},
		{"in a directory that others may write to", func() { k.own(pid, start, abi, true); os.Chmod(dir, 0o777) }, false},
		{"in a user's directory", func() { os.Chmod(dir, 0o700); os.Chown(dir, 1000, 0) }, false},
		{"of root again", func() { os.Chown(dir, 0, 0) }, true},
		{"with one missing", func() { os.Remove(own + "/loads") }, false},
	} {
		c.set()
		m, err := openIn(dir)
		if m != nil {
			if !m.noneCreating(0) || m.creating < 0 {
				t.Errorf("maps %s: who creates threads is not read", c.name)
			}
			m.Close()
		}
		if (m != nil) != c.want || (err == nil) != c.want {
			t.Errorf("maps %s: %v, %v", c.name, m, err)
		}
	}
}

func TestOpenNoProbe(t *testing.T) {
	for _, dir := range []string{"/nonexistent", t.TempDir()} {
		if m, err := openIn(dir); err != ErrNone {
			t.Errorf("openIn(%s) = %v, %v", dir, m, err)
		}
	}
}

func TestParseKeeper(t *testing.T) {
	if pid, start, ok := parseKeeper("12-3400"); !ok || pid != 12 || start != 3400 {
		t.Errorf("parseKeeper = %d, %d, %v", pid, start, ok)
	}
	for _, bad := range []string{"", "12", "-5-1", "12-", "x-1", "0-1", "../1-2"} {
		if _, _, ok := parseKeeper(bad); ok {
			t.Errorf("parseKeeper(%q) took it", bad)
		}
	}
}

// The modprobe that reads the maps must not pay for an eBPF library.
func TestNoLibrary(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skipf("no go command to list dependencies with: %v", err)
	}
	for _, heavy := range []string{"github.com/cilium/ebpf", "fmt", "encoding/json", "regexp", "os/exec", "log"} {
		for _, dep := range strings.Fields(string(out)) {
			if dep == heavy || strings.HasPrefix(dep, heavy+"/") {
				t.Errorf("imports %s", dep)
			}
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	k := newMaps(&testing.T{})
	k.load(1, "a", load{tid: 100, req: 10})
	k.request(request{id: 10, load: 1, tid: 100, child: 500, hop: hopTask})
	k.task(500, 10)
	for b.Loop() {
		k.Decide("a", 500, nil)
	}
}

// creates puts a task into kthread_create.
func (k *kernelMaps) creates(tid, rests uint32) {
	v := make([]byte, layout.MakingSize)
	v[layout.MakingDepth] = 1
	binary.LittleEndian.PutUint32(v[layout.MakingRests:], rests)
	k.put(k.creating, tid, v)
}

func (k *kernelMaps) flag(f flags) {
	v := make([]byte, flagsSize)
	if f.lossy {
		v[8] = 1
	}
	binary.LittleEndian.PutUint32(v[12:], f.rests)
	binary.LittleEndian.PutUint32(v[16:], f.spawns)
	k.put(k.flags, uint32(0), v)
}

// TestNotStartedBy: an init has not started what asks if the probe has recorded
// all that it started, and this is not of it.
func TestNotStartedBy(t *testing.T) {
	const owner, asker, child = 100, 120, 500
	for _, c := range []struct {
		name string
		set  func(k *kernelMaps, l *load, r *request, f *flags)
		want bool
	}{
		{"a stranger's", func(*kernelMaps, *load, *request, *flags) {}, true},
		{"another init's", func(_ *kernelMaps, _ *load, r *request, _ *flags) { r.load, r.hop = 2, hopWork }, true},
		{"its own", func(_ *kernelMaps, _ *load, r *request, _ *flags) { r.load, r.hop = 1, hopWork }, false},
		{"an interrupt's", func(_ *kernelMaps, _ *load, r *request, _ *flags) { r.hop = hopUnsure }, false},
		{"its init has not begun", func(_ *kernelMaps, l *load, _ *request, _ *flags) { l.flags = 0 }, false},
		{"another is in the load", func(_ *kernelMaps, l *load, _ *request, _ *flags) { l.tid = 101 }, false},
		{"too many to remember", func(_ *kernelMaps, l *load, _ *request, f *flags) { f.spawns = l.spawns + layout.SpawnsKept + 1 }, false},
		{"as many as can be", func(_ *kernelMaps, l *load, _ *request, f *flags) { f.spawns = l.spawns + layout.SpawnsKept }, true},
		{"the count has begun anew", func(_ *kernelMaps, _ *load, _ *request, f *flags) { f.spawns = 0 }, false},
		{"recording had stopped", func(_ *kernelMaps, _ *load, _ *request, f *flags) { f.rests++ }, false},
		{"a map was full", func(_ *kernelMaps, _ *load, _ *request, f *flags) { f.lossy = true }, false},
		{"somebody is in kthread_create, or its return was missed", func(k *kernelMaps, _ *load, _ *request, f *flags) {
			k.creates(90, f.rests)
			k.creates(91, f.rests-1)
		}, false},
		{"somebody was there for a load that has ended", func(k *kernelMaps, _ *load, _ *request, f *flags) { k.creates(91, f.rests-1) }, true},
		{"more were than are looked at", func(k *kernelMaps, _ *load, _ *request, f *flags) {
			for tid := range uint32(creatingMost + 1) {
				k.creates(1+tid, f.rests-1)
			}
		}, false},
		{"not all that inits start is seen", func(k *kernelMaps, _ *load, _ *request, _ *flags) {
			v := make([]byte, ownerSize)
			if err := k.owner.Lookup(uint32(0), &v); err != nil {
				k.t.Fatal(err)
			}
			v[28] = 0
			k.put(k.owner, uint32(0), v)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaps(t)
			l := load{tid: owner, flags: loadInit, rests: 3, spawns: 40}
			r := request{id: 10, tid: asker, child: child}
			f := flags{rests: 3, spawns: 45}
			c.set(k, &l, &r, &f)
			k.flag(f)
			k.load(1, "a", l)
			k.request(r)
			k.task(child, 10)
			v := make([]byte, taskSize)
			binary.LittleEndian.PutUint64(v[8:], 1)
			k.put(k.tasks, uint32(owner), v)
			if k.NotStartedBy(asker, owner) {
				t.Error("of a request that it was not asked about")
			}
			if tid, ok := k.Requester(child); !ok || tid != asker {
				t.Fatalf("requester %d, %v", tid, ok)
			}
			if got := k.NotStartedBy(asker, owner); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// What no process keeps is kept for as long as its owner map says so.
func TestStays(t *testing.T) {
	k := newMaps(t)
	unix.Close(k.keeper)
	k.keeper = -1
	for _, c := range []struct {
		pid    int
		layout uint32
		want   bool
	}{{0, abi, true}, {0, 0, false}, {0, abi + 1, false}, {1, abi, false}} {
		if k.own(c.pid, 0, c.layout, true); k.Whole() != c.want {
			t.Errorf("pid %d, layout %d: whole is %v", c.pid, c.layout, !c.want)
		}
	}
}

// A probe that stays is believed with all its links: without one, what that one
// would see is missing in the maps, or is in them for ever.
func TestLinks(t *testing.T) {
	const me = 500
	k := newMaps(t)
	unix.Close(k.keeper)
	k.keeper = -1
	k.dir, k.links = t.TempDir(), 3
	link := func(i int) string { return fmt.Sprintf("%s/link-%d", k.dir, i) }
	for i := range 3 {
		if err := os.WriteFile(link(i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k.own(0, 0, abi, true)
	k.load(1, "a", load{tid: 100})
	k.load(2, "b", load{tid: 101, req: 10})
	k.request(request{id: 10, load: 2, tid: 101, child: me, hop: hopTask})
	k.task(me, 10)
	for _, module := range []string{"a", "b"} {
		want := map[string]Answer{"a": Independent, "b": Proven}[module]
		if v, _ := k.Decide(module, me, nil); v != want {
			t.Errorf("%s, with all links: %v", module, v)
		}
	}
	for i := range 3 {
		if err := os.Remove(link(i)); err != nil {
			t.Fatal(err)
		}
		for _, module := range []string{"a", "b"} {
			if v, _ := k.Decide(module, me, nil); v != Unknown {
				t.Errorf("%s, without link %d: %v", module, i, v)
			}
		}
		if err := os.WriteFile(link(i), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if v, _ := k.Decide("a", me, nil); v != Independent {
		t.Errorf("with all links again: %v", v)
	}
}
