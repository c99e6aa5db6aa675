// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
	"safeload/internal/proc"
)

// PinDir is where the guard looks for ancestry maps.
const PinDir = layout.Dir

const ancestryABI = layout.AncestryABI

func (p *Probe) pinTo(dir string) error {
	if err := ownDir(dir); err != nil {
		return err
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	sweep(dir)
	own := filepath.Join(dir, fmt.Sprintf("%d-%d", os.Getpid(), start))
	if err := os.Mkdir(own, 0o700); err != nil {
		return fmt.Errorf("pin maps: %w", err)
	}
	p.pin = own
	if err := p.Beat(); err != nil {
		return err
	}
	// owner last: a reader that finds it finds all.
	for _, m := range []struct {
		name string
		m    *ebpf.Map
	}{
		{"tasks", p.maps.Tasks}, {"loads", p.maps.Loads}, {"requests", p.maps.Requests},
		{"names", p.maps.Names}, {"flags", p.maps.Flags}, {"creating", p.maps.Creating},
		{"owner", p.maps.Owner},
	} {
		if err := m.m.Pin(filepath.Join(own, m.name)); err != nil {
			return fmt.Errorf("pin map %s: %w", m.name, err)
		}
	}
	return nil
}

// ownDir makes the pin directory, or takes it if it is root's alone. In a bpffs
// without mode=0700 anybody can be there first: what he made is moved away.
func ownDir(dir string) error {
	var fs unix.Statfs_t
	parent := filepath.Dir(dir)
	if err := unix.Statfs(parent, &fs); err != nil || uint32(fs.Type) != unix.BPF_FS_MAGIC {
		return fmt.Errorf("no bpffs at %s: mount it (mount -t bpf -o mode=0700 bpf %s)", parent, parent)
	}
	return claim(dir)
}

// claimTries is how often somebody may be quicker than mkdir after a rename.
const claimTries = 100

func claim(dir string) error {
	parent := filepath.Dir(dir)
	if !rootsAlone(parent, true) {
		return fmt.Errorf("pin maps: others than root can rename what is in %s: mount it with mode=0700", parent)
	}
	for try := range claimTries {
		err := os.Mkdir(dir, 0o700)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("pin maps: %w", err)
		}
		if err == nil || rootsAlone(dir, false) {
			return nil
		}
		away := fmt.Sprintf("%s-not-ours-%d-%d-%d", dir, os.Getpid(), Now(), try)
		err = unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, away, unix.RENAME_NOREPLACE)
		if err != nil && err != unix.ENOENT && err != unix.EEXIST {
			return fmt.Errorf("pin maps: %s is not a directory of root's alone, and to move it away: %w", dir, err)
		}
	}
	return fmt.Errorf("pin maps: somebody else makes %s again and again: mount %s with mode=0700", dir, parent)
}

// rootsAlone tells whether path is a directory in which only root can change
// what is root's.
func rootsAlone(path string, sticky bool) bool {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return false
	}
	if sticky && st.Mode&unix.S_ISVTX != 0 {
		st.Mode &^= 0o022
	}
	return st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Uid == 0 && st.Mode&0o022 == 0
}

// sweep removes what probes left that are no more.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, start, ok := strings.Cut(e.Name(), "-")
		n, err1 := strconv.Atoi(pid)
		want, err2 := strconv.ParseUint(start, 10, 64)
		if !ok || err1 != nil || err2 != nil {
			continue
		}
		if is, err := startTime(n); err != proc.ErrHeld && (err != nil || is != want) {
			os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}

// Beat tells readers of the pinned maps that they are kept, and whether they
// are whole: until all that began before the probe has ended, what is not in
// them proves nothing. To be called about once a second.
func (p *Probe) Beat() error {
	if p.stays != nil {
		return p.beatStaying()
	}
	if !p.whole {
		p.whole = nothingOlder(p.maps.Names, p.maps.Tasks)
	}
	if p.pin == "" {
		return nil
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	b := ownerValue(start, uint32(os.Getpid()), ancestryABI, p.whole, p.spawns, 0)
	if err := p.maps.Owner.Put(uint32(0), b); err != nil {
		return fmt.Errorf("renew the ancestry maps: %w", err)
	}
	return nil
}

// ownerValue is a struct owner (src/state.h).
func ownerValue(start uint64, pid, abi uint32, whole, spawns bool, links int) []byte {
	le := binary.LittleEndian
	b := make([]byte, layout.OwnerSize)
	le.PutUint64(b[layout.OwnerStart:], start)
	le.PutUint64(b[layout.OwnerBeat:], uint64(Now()))
	le.PutUint32(b[layout.OwnerABI:], abi)
	le.PutUint32(b[layout.OwnerPID:], pid)
	if whole {
		b[layout.OwnerComplete] = 1
	}
	if spawns {
		b[layout.OwnerSpawns] = 1
	}
	le.PutUint32(b[layout.OwnerLinks:], uint32(links))
	return b
}

// nothingOlder reports whether no load and no helper is about that the probe
// did not see begin.
func nothingOlder(names, tasks *ebpf.Map) bool {
	p, err := proc.OpenProc()
	if err != nil {
		return false
	}
	defer p.Close()
	for _, module := range p.Loading() {
		name := make([]byte, layout.NameLen)
		copy(name, module)
		var id uint64
		if names.Lookup(name, &id) != nil {
			return false
		}
	}
	kernel := make(map[int]bool)
	type task struct{ pid, parent int }
	var users []task
	_ = p.PIDs(func(pid int) bool {
		// The outline: others may be held (see [proc.FS.Bounded]).
		switch o, err := p.Outline(pid, pid); {
		case err != nil:
		case o.Kthread():
			kernel[pid] = true
		default:
			users = append(users, task{pid, o.PPID})
		}
		return true
	})
	for _, u := range users {
		var buf [layout.TaskSize]byte
		if kernel[u.parent] && tasks.Lookup(uint32(u.pid), &buf) != nil {
			return false
		}
	}
	return true
}

// startTime is when a process began.
func startTime(pid int) (uint64, error) {
	p, err := proc.OpenProc()
	if err != nil {
		return 0, err
	}
	defer p.Close()
	var st proc.Stat
	p.Bounded(func(p *proc.FS) { st, err = p.ProcessStat(pid) })
	if err == nil && st.Held {
		err = proc.ErrHeld
	}
	return st.Start, err
}

// Heartbeat is how often [Probe.Beat] is to be called.
const Heartbeat = time.Second
