// SPDX-License-Identifier: Apache-2.0

// Package ancestry reads what the probe knows of the loads in flight: who
// requested whom, across the hops that no parent pid shows. It takes it from
// maps pinned under the bpffs, by the bpf system call alone, and links no eBPF
// library.
//
// An answer is only given from maps that are kept: by a probe that stays in the
// kernel (safeload probe load), whose links are pinned beside them and whose
// owner map says that it is ready; or by a running "safeload watch", whose
// directory is named after the process, by pid and start time, and that process
// is alive. When it dies the kernel detaches its programs at the same moment.
// Needs root (CAP_BPF or CAP_SYS_ADMIN), a mounted bpffs and /proc.
package ancestry

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
)

// Dir is where the probe pins its maps (bpf.PinDir).
const Dir = layout.Dir

// abi is ANCESTRY_ABI of bpf/src/state.h: the layout that this package reads.
const abi = layout.AncestryABI

// ErrNone says that no probe is running that could be asked.
var ErrNone = errors.New("no running probe")

// Maps are a live probe's.
type Maps struct {
	tasks, loads, requests, names, flags, creating, owner int

	keeper int       // a pidfd; -1: the links are pinned, and no process keeps them
	dir    string    // where they are pinned
	ino    uint64    // of that directory, if no process keeps them
	seen   []request // that Requester returned
	buf    *buffers
}

// Open finds the maps of a running probe. It returns ErrNone when there is
// none, in some tens of microseconds.
func Open() (*Maps, error) { return openIn(Dir) }

func openIn(dir string) (*Maps, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, ErrNone
	}
	defer unix.Close(fd)
	// A bpffs is writable for all by default: only root's word counts.
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Uid != 0 || st.Mode&0o022 != 0 {
		return nil, ErrNone
	}
	// One that is not whole is better than none, if no watch keeps a whole one.
	stays := openStaying(dir + "/" + staying)
	if stays != nil && stays.Whole() {
		return stays, nil
	}
	m, err := openKept(fd, dir, stays != nil)
	switch {
	case m == nil && stays != nil:
		return stays, nil
	case stays != nil:
		stays.Close()
	}
	return m, err
}

// staying is where a probe that stays is pinned .
const staying = layout.Staying

// openStaying opens the maps of a probe that stays: all of one, whoever puts
// another in its place meanwhile.
func openStaying(dir string) *Maps {
	var before, after unix.Stat_t
	if unix.Lstat(dir, &before) != nil {
		return nil
	}
	m := open(dir, 0, 0)
	if m != nil && (unix.Lstat(dir, &after) != nil || after.Ino != before.Ino) {
		m.Close()
		return nil
	}
	if m != nil {
		m.ino = before.Ino
	}
	return m
}

// openKept finds the maps of a process that watches.
func openKept(fd int, dir string, whole bool) (*Maps, error) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if n <= 0 || err != nil {
			return nil, ErrNone
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			pid, start, ok := parseKeeper(name)
			if !ok {
				continue
			}
			m := open(dir+"/"+name, pid, start)
			if m != nil && (!whole || m.Whole()) {
				return m, nil
			}
			if m != nil {
				m.Close()
			}
		}
	}
}

func parseKeeper(name string) (pid int, start uint64, ok bool) {
	p, s, ok := strings.Cut(name, "-")
	pid, err1 := strconv.Atoi(p)
	start, err2 := strconv.ParseUint(s, 10, 64)
	return pid, start, ok && err1 == nil && err2 == nil && pid > 0
}

// open opens the maps in a directory, of the process that keeps them; pid 0:
// of a probe that stays.
func open(dir string, pid int, start uint64) *Maps {
	m := &Maps{tasks: -1, loads: -1, requests: -1, names: -1, flags: -1, creating: -1, owner: -1, keeper: -1, dir: dir, buf: new(buffers)}
	if pid > 0 {
		// Held before it is looked at: from then on no other can be taken for it.
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return nil
		}
		if m.keeper = fd; !alive(pid, start) {
			m.Close()
			return nil
		}
	}
	for _, f := range []struct {
		name string
		fd   *int
	}{
		{"owner", &m.owner}, {"flags", &m.flags}, {"names", &m.names},
		{"tasks", &m.tasks}, {"requests", &m.requests}, {"loads", &m.loads},
	} {
		fd, err := mapGet(dir + "/" + f.name)
		if err != nil {
			m.Close()
			return nil
		}
		*f.fd = fd
	}
	o, ok := m.readOwner()
	if !ok || o.abi != abi || int(o.pid) != pid || o.start != start || !m.attached() {
		m.Close()
		return nil
	}
	return m
}

// Close releases the maps.
func (m *Maps) Close() {
	for _, fd := range []*int{&m.tasks, &m.loads, &m.requests, &m.names, &m.flags, &m.creating, &m.owner, &m.keeper} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// Whole reports whether what is not in the maps does not exist: the probe
// still runs, nothing in flight is older than it, and no map was full. Whether it
// has all its links is looked at when it is opened, and before it clears anybody.
func (m *Maps) Whole() bool {
	o, ok := m.readOwner()
	return ok && o.complete && !m.lossy() && m.kept()
}

// Requester returns the thread that waits in call_usermodehelper_exec for the
// process pid, which is alive: the kernel started pid for it.
func (m *Maps) Requester(pid int) (tid int, ok bool) {
	t, ok := m.task(pid)
	if !ok {
		return 0, false
	}
	r, ok := m.request(t.ctx)
	if !ok || int(r.child) != pid || !m.kept() {
		return 0, false
	}
	m.see(r)
	return int(r.tid), true
}

// see keeps a request for StartedBy: of each thread the one it waits in, for a
// look is followed by others as long as the load waits.
func (m *Maps) see(r request) {
	for i := range m.seen {
		if m.seen[i].tid == r.tid {
			m.seen[i] = r
			return
		}
	}
	m.seen = append(m.seen, r)
}

// StartedBy returns the thread whose module init started the kernel thread tid,
// or queued the work item that the worker tid is at. It knows those that
// Requester returned, or that wait in a request above pid's.
func (m *Maps) StartedBy(tid int) (owner int, ok bool) {
	for i := len(m.seen) - 1; i >= 0; i-- {
		r := m.seen[i]
		if int(r.tid) != tid || (r.hop != hopKthread && r.hop != hopWork) {
			continue
		}
		if _, ok := m.request(r.id); !ok {
			continue
		}
		l, ok := m.load(r.load)
		if !ok || !m.kept() {
			return 0, false
		}
		return int(l.tid), true
	}
	return 0, false
}

// NotStartedBy tells whether what the kernel thread or worker tid does, which
// Requester returned, was not started by the init that the thread owner runs.
// That is known of an init that began after the probe: all that it started
// since was recorded, and what began before it cannot be its. While somebody is
// in kthread_create for a load, or is there for all that the probe saw of it, it
// is not known.
func (m *Maps) NotStartedBy(tid, owner int) bool {
	t, ok := m.task(owner)
	if !ok {
		return false
	}
	l, ok := m.load(t.load)
	if !ok || int(l.tid) != owner || l.flags&loadInit == 0 {
		return false
	}
	i := len(m.seen) - 1
	for i >= 0 && int(m.seen[i].tid) != tid {
		i--
	}
	if i < 0 {
		return false
	}
	r, ok := m.request(m.seen[i].id)
	if !ok || r.load == t.load || r.hop == hopUnsure {
		return false
	}
	f, ok := m.readFlags()
	o, owned := m.readOwner()
	return ok && owned && o.spawns && !f.lossy && f.rests == l.rests && f.spawns-l.spawns <= layout.SpawnsKept &&
		m.noneCreating(f.rests) && m.kept() && m.attached()
}
