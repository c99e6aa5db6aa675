// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"safeload/bpf/layout"
	"safeload/internal/version"
)

// ErrBusy says that another watch reads from the probe that stays: a ring
// buffer has one reader.
var ErrBusy = errors.New("another watch reads from the probe")

// ErrNone says that no probe stays that could be read from.
var ErrNone = errors.New("no probe of this version stays in the kernel")

// reading is the claim to be the one reader of a probe that stays.
type reading struct{ *os.File }

// How long what a watch wanted of a probe that stays outlives its last beat.
// A watch that comes later to its beat gets events again from then on, and
// signals by itself.
const (
	readsFor  = 30 * time.Second
	breaksFor = 3 * Heartbeat
)

// Attach reads from the probe that [Load] left in a directory, until Close. It
// sends o.Signal for as long as [Probe.Beat] is called. A probe that would have
// to act at an open, on kernels whose wait no signal ends, must be attached for
// it: there Attach with a signal returns ErrNone.
func Attach(dir string, o Options) (*Probe, error) {
	s, err := Find(dir)
	switch {
	case err != nil:
		return nil, err
	case s == nil, s.Fault != "", s.Version != version.Version, s.Learned.Hard && o.Signal != 0:
		return nil, ErrNone
	}
	path := filepath.Join(dir, pinnedName)
	f, err := openDir(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, ErrBusy
	}
	m, err := openMaps(path)
	if err == nil && !isStill(f, path) {
		m.Close()
		err = ErrUnloaded
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	p := &Probe{maps: *m, stays: &reading{f}, missing: s.Missing, learned: s.Learned,
		wakes: s.Wakes, spawns: s.Spawns}
	if err := p.readOn(o.Signal); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// isStill reports whether a path leads to an open directory: what was opened
// by it meanwhile is of that one.
func isStill(f *os.File, path string) bool {
	is, err1 := f.Stat()
	now, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(is, now)
}

// readOn begins to read, with what happens from now on.
func (p *Probe) readOn(sig syscall.Signal) error {
	b := make([]byte, layout.ConfigSize)
	if err := p.maps.Config.Lookup(uint32(0), &b); err != nil {
		return fmt.Errorf("read the probe's configuration: %w", err)
	}
	le := binary.LittleEndian
	p.config = config{Signal: uint32(sig), Idempotent: le.Uint32(b[layout.ConfigIdempotent:]), InodeOff: le.Uint32(b[layout.ConfigInodeOff:]),
		CookieBack: le.Uint32(b[layout.ConfigCookieBack:]), OpenBreaks: le.Uint32(b[layout.ConfigOpenBreaks:])}
	var err error
	if p.had, err = p.Lost(); err != nil {
		return err
	}
	if p.events, err = ringbuf.NewReader(p.maps.Events); err != nil {
		return fmt.Errorf("open the probe's ring buffer: %w", err)
	}
	// What a reader left that was killed is of another time.
	p.events.SetDeadline(time.Now())
	for range stayingRing / layout.EventSize {
		if err := p.events.ReadInto(&p.record); err != nil {
			break
		}
	}
	p.events.SetDeadline(time.Time{})
	if err := p.beatStaying(); err != nil {
		return err
	}
	p.replay, err = p.maps.inFlight()
	return err
}

func (p *Probe) beatStaying() error {
	if _, err := p.maps.completed(); err != nil {
		return err
	}
	breaks := uint64(0)
	if p.config.Signal != 0 {
		breaks = uint64(Now() + breaksFor)
	}
	return p.until(uint64(Now()+readsFor), breaks)
}

// until says how long we read, and want waiters to be signalled.
func (p *Probe) until(reads, breaks uint64) error {
	p.config.Reads, p.config.Breaks = reads, breaks
	if reads == 0 {
		p.config.Signal = 0
	}
	return p.putConfig()
}

// Stays reports whether the probe was there before us, and stays after us.
func (p *Probe) Stays() bool { return p.stays != nil }
