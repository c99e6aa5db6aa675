// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
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
	"safeload/internal/version"
)

// A probe that stays has no process: its links, and the maps that others read,
// are pinned in a directory of their own in [PinDir] (links of perf events can
// be since Linux 5.15). It is made under another name and gets this one by one
// rename(2), when all is in it; before it goes its owner map says so, and it
// loses the name. So whoever finds the name finds a whole one, whenever its
// loader was killed. A reboot leaves nothing: bpffs is memory.
const pinnedName = layout.Staying

// Names of directories that are none yet, and no more. Only who holds the lock
// on [PinDir] has any: others are left behind, and go with what is in them.
const (
	makingPrefix = "making-"
	goingPrefix  = "going-"
)

// stayingRing is smaller than what a watch makes for itself, for it is there
// when nobody reads, too. All maps together are to be under 2 MiB.
const stayingRing = 256 * 1024

// ErrUnloaded says that the probe that is read was taken away.
var ErrUnloaded = errors.New("the probe that stayed in the kernel was unloaded, or replaced by another version's")

// About is what a probe that stays says of itself; it is pinned beside it.
type About struct {
	Version string   `json:"version"`
	ABI     uint32   `json:"abi"`
	Since   int64    `json:"since_boot_ns"` // CLOCK_BOOTTIME
	Links   int      `json:"links"`
	Bytes   uint64   `json:"bytes"` // of its maps, as the kernel counts them; estimated before 6.3
	Missing []string `json:"missing,omitempty"`
	Learned Learned  `json:"learned"`
	Wakes   bool     `json:"wakes"`
	Spawns  bool     `json:"spawns"`
}

const aboutSize = 4096

// Pinned is the state of a probe that stays.
type Pinned struct {
	About
	Age   time.Duration // since it was attached
	Whole bool          // nothing in flight is older than it, and no map is full
	Full  bool          // a map is, or was while what is in flight began: something is missing in it
	Fulls uint32        // how often one was
	Read  bool          // a watch reads from it
	Fault string        // why it is not used; empty if it is
}

// step is told what was just done, for tests that end the process there.
var step = func(string) {}

// openStaying attaches a probe that is to stay. A test has its own, which costs less.
var openStaying = func() (*Probe, error) { return Open(Options{stays: true}) }

// Load attaches the probe and leaves it, where none of this version is. It
// waits up to patience for what is older to end, so that the probe is whole;
// one that is there already it makes whole. loaded says that there was none.
//
// It needs CAP_BPF and CAP_PERFMON (CAP_SYS_ADMIN with perf_event_paranoid=3),
// Linux 5.15 and a bpffs; without one of these it fails with [Unavailable].
func Load(dir string, patience time.Duration) (state *Pinned, loaded bool, err error) {
	if err := ownDir(dir); err != nil {
		return nil, false, &Unavailable{Missing: []string{"a bpffs of root's"}, Err: err}
	}
	l, err := lockPins(dir)
	if err != nil {
		return nil, false, err
	}
	defer l.Close()
	if err := sweepPinned(dir); err != nil {
		return nil, false, err
	}
	path := filepath.Join(dir, pinnedName)
	old, err := readPinned(path)
	if err != nil {
		return nil, false, err
	}
	if old == nil || old.Fault != "" || old.Version != version.Version {
		if err := replacePinned(dir, old != nil, patience); err != nil {
			return nil, false, err
		}
		loaded = true
	}
	makeWhole(path, patience)
	state, err = readPinned(path)
	if err == nil && state == nil {
		err = errors.New("the probe is not where it was pinned")
	}
	return state, loaded, err
}

// Unload detaches the probe that stays and removes it with what killed loaders
// left. had says that there was one.
func Unload(dir string) (had bool, err error) {
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	l, err := lockPins(dir)
	if err != nil {
		return false, err
	}
	defer l.Close()
	if had, err = retire(dir, filepath.Join(dir, pinnedName)); err != nil {
		return had, err
	}
	return had, sweepPinned(dir)
}

// Find returns the state of the probe that stays; nil if there is none.
func Find(dir string) (*Pinned, error) {
	return readPinned(filepath.Join(dir, pinnedName))
}

// lockPins waits for another load or unload, which takes seconds. The lock is
// on a directory that only root can open.
func lockPins(dir string) (*os.File, error) {
	f, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o700); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the probe's pins: %w", err)
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
		case err == nil:
			return f, nil
		case err != unix.EWOULDBLOCK && err != unix.EINTR || time.Now().After(end):
			f.Close()
			return nil, fmt.Errorf("lock the probe's pins, which another load or unload holds: %w", err)
		}
	}
}

// openDir opens a directory that is root's alone.
func openDir(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f := os.NewFile(uintptr(fd), dir)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Uid != 0 || st.Mode&0o022 != 0 {
		f.Close()
		return nil, fmt.Errorf("%s is not root's alone", dir)
	}
	return f, nil
}

// sweepPinned removes what loaders left that were killed, and with the links
// the programs.
func sweepPinned(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), makingPrefix) || strings.HasPrefix(e.Name(), goingPrefix) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// replacePinned attaches a probe, puts it in the place of the one that is
// there, if one is, and takes that away: in between both are attached.
func replacePinned(dir string, old bool, patience time.Duration) error {
	p, err := openStaying()
	if err != nil {
		return err
	}
	defer p.Close() // which leaves what is pinned
	making := filepath.Join(dir, fmt.Sprintf("%s%d-%d", makingPrefix, os.Getpid(), Now()))
	if err := p.pinAll(making); err != nil {
		return errors.Join(err, os.RemoveAll(making))
	}
	path := filepath.Join(dir, pinnedName)
	if !old {
		if err := unix.Renameat2(unix.AT_FDCWD, making, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE); err != nil {
			return errors.Join(fmt.Errorf("pin the probe at %s: %w", path, err), os.RemoveAll(making))
		}
		step("rename")
		return nil
	}
	makeWhole(making, patience)
	err = unix.Renameat2(unix.AT_FDCWD, making, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	if err == unix.EINVAL { // bpffs exchanges since 5.16: a moment without any
		if _, err := retire(dir, path); err != nil {
			return errors.Join(err, os.RemoveAll(making))
		}
		err = unix.Renameat2(unix.AT_FDCWD, making, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
		making = ""
	}
	if err != nil {
		return fmt.Errorf("pin the probe at %s: %w", path, err)
	}
	step("exchange")
	if making != "" {
		_, err = retire(dir, making) // the old one has this name now
	}
	return err
}

// retire tells readers of a probe that it is no more, and removes it.
func retire(dir, path string) (had bool, err error) {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if m, err := ebpf.LoadPinnedMap(filepath.Join(path, "owner"), nil); err == nil {
		defer m.Close()
		// Again at the end: a watch may have been about to say that it is whole.
		defer func() { _ = m.Put(uint32(0), ownerValue(0, 0, 0, false, false, 0)) }()
		if err := m.Put(uint32(0), ownerValue(0, 0, 0, false, false, 0)); err != nil {
			return true, fmt.Errorf("retire the probe: %w", err)
		}
	}
	step("retire")
	going := filepath.Join(dir, fmt.Sprintf("%s%d-%d", goingPrefix, os.Getpid(), Now()))
	if err := os.Rename(path, going); err != nil {
		return true, fmt.Errorf("retire the probe: %w", err)
	}
	step("going")
	return true, os.RemoveAll(going)
}

// pinAll pins what is to stay. The programs stay with their links, the maps
// that nobody else reads with the programs.
func (p *Probe) pinAll(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("pin the probe: %w", err)
	}
	step("mkdir")
	for i, l := range p.links {
		if err := l.Pin(filepath.Join(dir, layout.Link+strconv.Itoa(i))); err != nil {
			if errors.Is(err, ebpf.ErrNotSupported) {
				return &Unavailable{Missing: []string{"pinned links of perf events (Linux 5.15)"}, Err: err}
			}
			return fmt.Errorf("pin a link: %w", err)
		}
		step(fmt.Sprintf("link-%d", i))
	}
	if err := p.maps.Owner.Put(uint32(0), ownerValue(0, 0, ancestryABI, false, p.spawns, len(p.links))); err != nil {
		return fmt.Errorf("pin the probe: %w", err)
	}
	about, err := p.about()
	if err != nil {
		return err
	}
	defer about.Close()
	for _, m := range []struct {
		name string
		m    *ebpf.Map
	}{
		{"tasks", p.maps.Tasks}, {"loads", p.maps.Loads}, {"requests", p.maps.Requests},
		{"names", p.maps.Names}, {"flags", p.maps.Flags}, {"creating", p.maps.Creating}, {"config", p.maps.Config},
		{"lost", p.maps.Lost}, {"events", p.maps.Events}, {"ring", p.maps.Ring}, {"about", about}, {"owner", p.maps.Owner},
	} {
		if err := m.m.Pin(filepath.Join(dir, m.name)); err != nil {
			return fmt.Errorf("pin map %s: %w", m.name, err)
		}
		step(m.name)
	}
	return nil
}

// about makes the map that says what the probe is.
func (p *Probe) about() (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "about", Type: ebpf.Array, KeySize: 4, ValueSize: aboutSize, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("make the map that describes the probe: %w", err)
	}
	a := About{Version: version.Version, ABI: ancestryABI, Since: int64(Now()), Links: len(p.links), Bytes: aboutSize,
		Missing: p.missing, Learned: p.learned, Wakes: p.wakes, Spawns: p.spawns}
	for _, m := range p.shared {
		if i, err := m.Info(); err == nil {
			n, _ := i.Memlock()
			a.Bytes += n
		}
	}
	b, err := json.Marshal(a)
	for err == nil && len(b) > aboutSize {
		n := len(a.Missing) / 2
		if a.Missing = append(a.Missing[:n:n], "and more that has no room here"); n == 0 {
			break
		}
		b, err = json.Marshal(a)
	}
	if err == nil {
		value := make([]byte, aboutSize)
		copy(value, b)
		err = m.Put(uint32(0), value)
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("describe the probe: %w", err)
	}
	return m, nil
}

// makeWhole waits for what began before the probe to end. What cannot be read
// is not whole.
func makeWhole(dir string, patience time.Duration) {
	k, err := openMaps(dir)
	if err != nil {
		return
	}
	defer k.Close()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if done, err := k.completed(); done || err != nil || time.Now().After(end) {
			return
		}
	}
}

// completed reports whether the probe is whole by now, after having said so to
// its readers.
func (m *probeMaps) completed() (bool, error) {
	b := make([]byte, layout.OwnerSize)
	if err := m.Owner.Lookup(uint32(0), &b); err != nil {
		return false, fmt.Errorf("read the probe's owner: %w", err)
	}
	le := binary.LittleEndian
	switch {
	case le.Uint32(b[layout.OwnerABI:]) != ancestryABI:
		return false, ErrUnloaded
	case le.Uint32(b[layout.OwnerComplete:]) != 0:
		return true, nil
	case !nothingOlder(m.Names, m.Tasks):
		return false, nil
	}
	return true, m.Owner.Put(uint32(0), ownerValue(0, 0, ancestryABI, true, le.Uint32(b[layout.OwnerSpawns:]) != 0, int(le.Uint32(b[layout.OwnerLinks:]))))
}

// openMaps opens the maps that are pinned in a directory.
func openMaps(dir string) (*probeMaps, error) {
	m := &probeMaps{}
	for _, f := range []struct {
		name string
		m    **ebpf.Map
	}{
		{"owner", &m.Owner}, {"tasks", &m.Tasks}, {"loads", &m.Loads}, {"requests", &m.Requests}, {"names", &m.Names},
		{"flags", &m.Flags}, {"config", &m.Config}, {"lost", &m.Lost}, {"events", &m.Events}, {"ring", &m.Ring},
	} {
		var err error
		if *f.m, err = ebpf.LoadPinnedMap(filepath.Join(dir, f.name), nil); err != nil {
			m.Close()
			return nil, fmt.Errorf("open the probe's map %s: %w", f.name, err)
		}
	}
	return m, nil
}

func readAbout(dir string) (About, error) {
	var a About
	m, err := ebpf.LoadPinnedMap(filepath.Join(dir, "about"), nil)
	if err != nil {
		return a, err
	}
	defer m.Close()
	b := make([]byte, aboutSize)
	if m.ValueSize() != aboutSize {
		return a, errors.New("it is no description of a probe")
	}
	if err := m.Lookup(uint32(0), &b); err != nil {
		return a, err
	}
	b, _, _ = bytes.Cut(b, []byte{0})
	return a, json.Unmarshal(b, &a)
}

// readPinned tells what is there; nil if nothing is.
func readPinned(dir string) (*Pinned, error) {
	f, err := openDir(filepath.Dir(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f.Close()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &Pinned{}
	if p.About, err = readAbout(dir); err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, err
		}
		p.Fault = fmt.Sprintf("it does not say what it is: %v", err)
		return p, nil
	}
	p.Age = Now() - time.Duration(p.Since)
	links := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), layout.Link) {
			links++
		}
	}
	if p.ABI != ancestryABI {
		p.Fault = fmt.Sprintf("its layout is %d, this safeload reads %d", p.ABI, ancestryABI)
		return p, nil
	}
	m, err := openMaps(dir)
	if err != nil {
		p.Fault = err.Error()
		return p, nil
	}
	defer m.Close()
	owner, flags, config := make([]byte, layout.OwnerSize), make([]byte, layout.FlagsSize), make([]byte, layout.ConfigSize)
	if err := errors.Join(m.Owner.Lookup(uint32(0), &owner), m.Flags.Lookup(uint32(0), &flags), m.Config.Lookup(uint32(0), &config)); err != nil {
		p.Fault = err.Error()
		return p, nil
	}
	le := binary.LittleEndian
	p.Full, p.Fulls = le.Uint32(flags[layout.FlagsLossy:]) != 0, le.Uint32(flags[layout.FlagsFulls:])
	p.Whole = le.Uint32(owner[layout.OwnerComplete:]) != 0 && !p.Full
	p.Read = le.Uint64(config[layout.ConfigReadsUntil:]) >= uint64(Now())
	switch {
	case le.Uint32(owner[layout.OwnerABI:]) != ancestryABI:
		p.Fault = "it is being taken away"
	case links != p.Links:
		p.Fault = fmt.Sprintf("%d of its %d links are there", links, p.Links)
	}
	return p, nil
}
