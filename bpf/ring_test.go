// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"safeload/bpf/layout"
)

// written is an entry of the ring: the number-th of its part.
func written(number uint32, apart bool, load uint64, end time.Duration, name string) entry {
	var e entry
	le := binary.LittleEndian
	le.PutUint32(e[layout.EntrySeq:], number+1)
	flags := uint32(layout.EntryTold)
	if apart {
		flags |= layout.EntryApart
	}
	le.PutUint32(e[layout.EntryFlags:], flags)
	le.PutUint64(e[layout.EntryLoad:], load)
	le.PutUint64(e[layout.EntryEnded:], uint64(end))
	copy(e[layout.EntryName:][:layout.EntryNameLen-1], name)
	return e
}

// TestReadWhole: an entry that is being written, or that is written between two reads, is never believed.
func TestReadWhole(t *testing.T) {
	half := written(512, false, 9, 4, "new")
	binary.LittleEndian.PutUint32(half[layout.EntrySeq:], 0)
	mixed := written(7, false, 7, 3, "mixed")
	copy(mixed[layout.EntryName:], "mix")
	reads := [][]entry{
		{written(0, false, 1, 1, "old"), written(1, false, 2, 2, "stays"), mixed, {}},
		{half, written(1, false, 2, 2, "stays"), written(7, false, 7, 3, "whole"), {}},
		{written(512, false, 9, 4, "new"), written(1, false, 2, 2, "stays"), written(7, false, 7, 3, "whole"), {}},
		{written(512, false, 9, 4, "new"), written(1, false, 2, 2, "changed meanwhile"), written(7, false, 7, 3, "whole"), {}},
	}
	n := 0
	read := func() ([]entry, error) {
		n++
		return slices.Clone(reads[min(n, len(reads))-1]), nil
	}
	got, torn, err := readWhole(read, func() {})
	if err != nil || torn != [2]uint64{} || n != 4 {
		t.Fatalf("%v, %d left out, %d reads", err, torn, n)
	}
	var names []string
	for i := range got {
		names = append(names, decodeEnded(&got[i]).Module)
	}
	slices.Sort(names)
	if want := []string{"new", "stays", "whole"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}

	// One that changes for ever, and one whose writer never comes to an end.
	at := uint32(0)
	got, torn, err = readWhole(func() ([]entry, error) {
		at++
		all := make([]entry, layout.RingLoads+1)
		all[0], all[layout.RingLoads] = written(at+1024, false, 1, 1, "x"), half
		return all, nil
	}, func() {})
	if err != nil || len(got) != 0 || torn != [2]uint64{3, 1} {
		t.Errorf("%d entries, %d left out, %v", len(got), torn, err)
	}
	if _, _, err := readWhole(func() ([]entry, error) { return nil, ErrNone }, func() {}); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

// TestRingLost: what was overwritten is counted, at first and between two reads; nothing is told twice.
func TestRingLost(t *testing.T) {
	r := &Ring{}
	read := func(from, to uint32, apart bool) *Taken {
		size := uint32(layout.RingLoads)
		if apart {
			size = layout.RingNothings
		}
		slots := make(map[uint32]entry)
		for n := from; n < to; n++ {
			slots[n%size] = written(n, apart, uint64(n+1), time.Duration(n), "m")
		}
		var all []entry
		for _, e := range slots {
			all = append(all, e)
		}
		var taken Taken
		r.sort(&taken, all, [2]uint64{})
		return &taken
	}
	for _, c := range []struct {
		from, to, fresh uint32
		lost            uint64
	}{
		{0, 0, 0, 0}, {0, 10, 10, 0}, {0, 10, 0, 0}, {0, 512, 502, 0}, {100, 612, 100, 0},
		{612, 1124, 512, 0}, {1324, 1836, 512, 200}, {1324, 1836, 0, 0},
	} {
		got := read(c.from, c.to, false)
		if uint32(len(got.New)) != c.fresh || got.LostLoads != c.lost || got.LostNothings != 0 {
			t.Errorf("%d to %d: %d new, %d and %d lost; want %d, %d", c.from, c.to, len(got.New), got.LostLoads, got.LostNothings, c.fresh, c.lost)
		}
		if !slices.IsSortedFunc(got.New, func(a, b Ended) int { return int(a.End - b.End) }) {
			t.Error("not by their end")
		}
	}
	r = &Ring{}
	if got := read(744, 1000, true); len(got.New) != 256 || got.LostNothings != 744 || got.LostLoads != 0 {
		t.Errorf("%d new, %d and %d lost", len(got.New), got.LostLoads, got.LostNothings)
	}
}

// TestRingWaits: a request whose requester has not returned is told when it has, or when that is long ago.
func TestRingWaits(t *testing.T) {
	r := &Ring{}
	e := written(0, true, 0, Now(), "")
	binary.LittleEndian.PutUint32(e[layout.EntryFlags:], layout.EntryApart)
	var taken Taken
	if r.sort(&taken, []entry{e}, [2]uint64{}); len(taken.New) != 0 || taken.LostNothings != 0 {
		t.Errorf("told without its result: %+v", taken)
	}
	binary.LittleEndian.PutUint32(e[layout.EntryFlags:], layout.EntryApart|layout.EntryTold)
	taken = Taken{}
	if r.sort(&taken, []entry{e}, [2]uint64{}); len(taken.New) != 1 || taken.LostNothings != 0 || !taken.New[0].Told {
		t.Errorf("with its result: %+v", taken)
	}
	r = &Ring{}
	e = written(0, true, 0, Now()-time.Minute, "")
	binary.LittleEndian.PutUint32(e[layout.EntryFlags:], layout.EntryApart)
	taken = Taken{}
	if r.sort(&taken, []entry{e}, [2]uint64{}); len(taken.New) != 1 || taken.New[0].Told {
		t.Errorf("whose return was missed: %+v", taken)
	}
}

// TestTurns: each part of the ring has all its turns, in order; the kernel gives the ring's entries at once.
func TestTurns(t *testing.T) {
	made := probeMapsOf(t, probeMapTurns, probeMapTurnsApart, probeMapRing)
	m := &probeMaps{Turns: made[probeMapTurns], TurnsApart: made[probeMapTurnsApart], Ring: made[probeMapRing]}
	if err := m.fillTurns(); err != nil {
		t.Fatal(err)
	}
	for n, q := range map[uint32]*ebpf.Map{layout.RingLoads: m.Turns, layout.RingNothings: m.TurnsApart} {
		for i := range n {
			var got uint32
			if err := q.LookupAndDelete(nil, &got); err != nil || got != i {
				t.Fatalf("turn %d of %d: %d, %v", i, n, got, err)
			}
		}
		if err := q.LookupAndDelete(nil, new(uint32)); !errors.Is(err, ebpf.ErrKeyNotExist) {
			t.Errorf("more turns than entries: %v", err)
		}
	}
	e := written(600, false, 1, 1, "one")
	if err := m.Ring.Put(uint32(600%layout.RingLoads), e); err != nil {
		t.Fatal(err)
	}
	all, err := (&Ring{maps: m}).snapshot()
	if err != nil || len(all) != layout.RingLoads+layout.RingNothings || all[600%layout.RingLoads] != e || all[0] != (entry{}) {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

func FuzzDecodeEnded(f *testing.F) {
	f.Add(make([]byte, layout.EntrySize))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e entry
		copy(e[:], b)
		if got := decodeEnded(&e); len(got.Module) > layout.EntryNameLen || got.Asked != nil && len(got.Asked.Name) > layout.EntryNameLen {
			t.Errorf("%+v", got)
		}
	})
}
