// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"safeload/bpf/layout"
)

// Task is who loads or requests, as the kernel knew him at that moment.
type Task struct {
	TID, TGID uint32 // in the initial pid namespace
	UID       uint32 // the real one, in the initial user namespace
	Cgroup    uint64 // v2 cgroup id: the inode number of its directory
	Comm      string // at most 15 bytes, any but NUL; empty: not known
}

// Asking is a request of the kernel for a helper.
type Asking struct {
	Task
	For    uint64 // load that it is made for, 0 if none
	Via    Via
	Helper uint32 // process that the kernel started for it, 0 if none
	Name   string // any bytes but NUL
}

// Ended is what the ring of a probe that stays has of a load, or of a request, that has ended.
type Ended struct {
	Load       uint64        // id; 0: it is a request, of which no load came while it was waited for
	Request    uint64        // id, of the request itself or of the one from whose helper the load comes; 0 none
	Begin, End time.Duration // since boot, suspend included (CLOCK_BOOTTIME)
	By         Task          // who loads; of a request nobody
	Module     string        // empty: the load ended before the kernel had its name
	Asked      *Asking       // the request, nil if there is none or it was over before the load
	Ret        int32         // of a load its result; of a request a negative errno, or the wait status of its helper
	Told       bool          // whether Ret is known
	apart      bool
	number     uint32
}

// Ring is the newest of what has ended, which a probe that stays keeps until reboot.
type Ring struct {
	About
	dir  string
	maps *probeMaps
	seen map[place]bool // what the last Read returned
	had  [2]uint64      // how many of each part there were at that time
}

// place names an entry of the ring for good.
type place struct {
	apart  bool
	number uint32
}

// Taken is what [Ring.Read] has read.
type Taken struct {
	New      []Ended // since the last time, by their end
	InFlight []Event // what goes on, as the events that led there: see [Probe.Read]
	// How many were overwritten since the last time (at first, since the probe was loaded) without having been read:
	// loads, and what came to nothing. That is requests of which no load came, loads by a request's helper that
	// failed, and calls of finit_module by who may not load.
	LostLoads, LostNothings uint64
}

// OpenRing opens the ring of the probe that [Load] has left in a directory. It returns [ErrNone] if none is there that
// can be read. It needs CAP_BPF (CAP_SYS_ADMIN before Linux 5.8).
func OpenRing(dir string) (*Ring, error) {
	s, err := Find(dir)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, ErrNone
	case s.Fault != "":
		return nil, fmt.Errorf("%w: %s", ErrNone, s.Fault)
	}
	path := filepath.Join(dir, pinnedName)
	m, err := openMaps(path)
	if err != nil {
		return nil, err
	}
	return &Ring{About: s.About, dir: path, maps: m}, nil
}

// Close ends the reading. The probe stays.
func (r *Ring) Close() error { return r.maps.Close() }

// Read returns what has ended since the last Read, and what goes on now. It takes [settle] at least. After the probe was
// taken away it returns [ErrUnloaded].
func (r *Ring) Read() (*Taken, error) {
	var t Taken
	var err error
	if err := r.maps.owned(); err != nil {
		return nil, err
	}
	// First what goes on: what ends meanwhile is in both, and in one it is left out.
	if t.InFlight, err = r.maps.inFlight(); err != nil {
		return nil, err
	}
	entries, torn, err := readWhole(r.snapshot, func() { time.Sleep(settle) })
	if err != nil {
		return nil, err
	}
	r.sort(&t, entries, torn)
	return &t, nil
}

// settle is longer than a program takes to write an entry, and for what a CPU has written to be seen by others.
const settle = 10 * time.Millisecond

// mostReads is how often the ring is read to have each entry twice the same.
const mostReads = 6

type entry [layout.EntrySize]byte

func (e *entry) seq() uint32 { return binary.LittleEndian.Uint32(e[layout.EntrySeq:]) }

// readWhole reads the ring until each entry was read twice the same, with a pause between: one that is being written has
// no number for less time. Entries that change all the time are left out; torn is how many were written in their places.
func readWhole(read func() ([]entry, error), pause func()) (whole []entry, torn [2]uint64, err error) {
	before, err := read()
	if err != nil {
		return nil, torn, err
	}
	done := make([]bool, len(before))
	for n := 1; n < mostReads; n++ {
		pause()
		now, err := read()
		if err != nil {
			return nil, torn, err
		}
		left := false
		for i := range now {
			switch {
			case done[i]:
			case now[i] == before[i] && (now[i].seq() != 0 || now[i] == entry{}):
				done[i] = true
				if now[i].seq() != 0 {
					whole = append(whole, now[i])
				}
			default:
				left = true
			}
		}
		if before = now; !left {
			break
		}
	}
	for i, ok := range done {
		if !ok {
			part := partOf(i >= layout.RingLoads)
			torn[part] += rounds(part, max(before[i].seq(), 1)-1)
		}
	}
	return whole, torn, nil
}

// partOf is 1 for what is apart.
func partOf(apart bool) int {
	if apart {
		return 1
	}
	return 0
}

// rounds is how many entries were written where the one with this number is: one in each round.
func rounds(part int, number uint32) uint64 {
	return uint64(number)/[]uint64{layout.RingLoads, layout.RingNothings}[part] + 1
}

func (r *Ring) snapshot() ([]entry, error) {
	n := int(r.maps.Ring.MaxEntries())
	keys, values := make([]uint32, n), make([]entry, n)
	var cursor ebpf.MapBatchCursor
	got, err := r.maps.Ring.BatchLookup(&cursor, keys, values, nil)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) || got != n {
		return nil, fmt.Errorf("read the probe's ring: %d of %d entries: %w", got, n, err)
	}
	return values, nil
}

// sort finds what is new among entries, and how many were overwritten unread.
func (r *Ring) sort(t *Taken, entries []entry, torn [2]uint64) {
	total, fresh := torn, [2]uint64{}
	seen := make(map[place]bool, len(entries))
	for i := range entries {
		e := decodeEnded(&entries[i])
		part := partOf(e.apart)
		total[part] += rounds(part, e.number)
		p := place{e.apart, e.number}
		// Its requester has not returned yet: next time it has its result.
		if e.Load == 0 && !e.Told && Now()-e.End < returns {
			total[part]--
			continue
		}
		seen[p] = true
		if !r.seen[p] {
			fresh[part]++
			t.New = append(t.New, e)
		}
	}
	lost := [2]uint64{}
	for part := range total {
		if now := total[part] - min(total[part], r.had[part]); now > fresh[part] {
			lost[part] = now - fresh[part]
		}
		r.had[part] = max(total[part], r.had[part])
	}
	r.seen, t.LostLoads, t.LostNothings = seen, lost[0], lost[1]
	slices.SortStableFunc(t.New, func(a, b Ended) int { return cmp.Compare(a.End, b.End) })
}

// returns is how long after the end of its helper a requester has its result, as a rule.
const returns = 50 * time.Millisecond

// decodeEnded reads a struct entry (src/state.h).
func decodeEnded(b *entry) Ended {
	le := binary.LittleEndian
	word := func(at int) uint32 { return le.Uint32(b[at:]) }
	long := func(at int) uint64 { return le.Uint64(b[at:]) }
	flags := word(layout.EntryFlags)
	e := Ended{
		Load: long(layout.EntryLoad), Request: long(layout.EntryCtx),
		Begin: time.Duration(long(layout.EntryBegan)), End: time.Duration(long(layout.EntryEnded)),
		By: Task{word(layout.EntryTID), word(layout.EntryTGID), word(layout.EntryUID), long(layout.EntryCgroup),
			cString(b[layout.EntryComm:][:layout.CommLen])},
		Module: cString(b[layout.EntryName:][:layout.EntryNameLen]),
		Ret:    int32(word(layout.EntryRet)), Told: flags&layout.EntryTold != 0, apart: flags&layout.EntryApart != 0,
		number: b.seq() - 1,
	}
	if word(layout.EntryAskerTID) != 0 {
		e.Asked = &Asking{
			Task: Task{word(layout.EntryAskerTID), word(layout.EntryAskerTGID), word(layout.EntryAskerUID), long(layout.EntryAskerCgroup),
				cString(b[layout.EntryAskerComm:][:layout.CommLen])},
			For: long(layout.EntryForLoad), Via: Via(word(layout.EntryHop)), Helper: word(layout.EntryHelper),
			Name: cString(b[layout.EntryAsked:][:layout.EntryNameLen]),
		}
	}
	return e
}

// fillTurns gives the programs the entries that they may write.
func (m *probeMaps) fillTurns() error {
	for _, t := range []struct {
		queue *ebpf.Map
		n     uint32
	}{{m.Turns, layout.RingLoads}, {m.TurnsApart, layout.RingNothings}} {
		for i := range t.n {
			if err := t.queue.Put(nil, i); err != nil {
				return fmt.Errorf("prepare the probe's ring: %w", err)
			}
		}
	}
	return nil
}

// owned returns [ErrUnloaded] if the probe whose maps these are was taken away.
func (m *probeMaps) owned() error {
	b := make([]byte, layout.OwnerSize)
	if err := m.Owner.Lookup(uint32(0), &b); err != nil {
		return fmt.Errorf("read the probe's owner: %w", err)
	}
	if binary.LittleEndian.Uint32(b[layout.OwnerABI:]) != ancestryABI {
		return ErrUnloaded
	}
	return nil
}
