// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf"
)

// inFlight tells what a probe that stays knows to be in flight, as the events
// that led there: who begins to read sees what began before. What happens
// meanwhile is told again by the ring buffer.
func (m *probeMaps) inFlight() ([]Event, error) {
	var events, waits []Event
	le := binary.LittleEndian
	now := Now()
	err := each(m.Loads, loadSize, func(_, b []byte) {
		id, tid, flags := le.Uint64(b), le.Uint32(b[64:]), le.Uint32(b[72:])
		e := Event{At: time.Duration(le.Uint64(b[8:])), Read: now, ID: id, Ctx: le.Uint64(b[16:]), Cgroup: le.Uint64(b[56:]),
			TID: tid, TGID: le.Uint32(b[68:]), Comm: comm(tid)}
		begin := e
		begin.Kind, begin.Ret = LoadBegin, int32(le.Uint32(b[76:]))
		events = append(events, begin)
		e.Name = cString(b[88 : 88+64])
		if flags&loadInit != 0 {
			e.Kind = Init
			events = append(events, e)
		}
		if flags&loadWaits == 0 {
			return
		}
		e.Kind, e.At, e.Peer, e.How, e.Ret = Wait, now, le.Uint64(b[40:]), uint32(WaitName), Unsent
		if le.Uint64(b[80:]) != 0 { // the inode that it wants
			e.How, e.Name = uint32(WaitFile), ""
		}
		waits = append(waits, e)
	})
	if err != nil {
		return nil, err
	}
	children := make(map[uint32]bool)
	err = each(m.Requests, requestSize, func(_, b []byte) {
		e := Event{Kind: Request, At: time.Duration(le.Uint64(b[8:])), Read: now, ID: le.Uint64(b), Peer: le.Uint64(b[16:]),
			Ctx: le.Uint64(b[24:]), TID: le.Uint32(b[40:]), TGID: le.Uint32(b[44:]), How: le.Uint32(b[52:]),
			Name: cString(b[64 : 64+64]), Comm: cString(b[128:144])}
		events = append(events, e)
		if child := le.Uint32(b[48:]); child != 0 {
			children[child] = true
			events = append(events, Event{Kind: Child, At: e.At, Read: now, ID: e.ID, Peer: e.Peer, Ctx: e.ID,
				TID: child, TGID: child, Comm: comm(child)})
		}
	})
	if err != nil {
		return nil, err
	}
	err = each(m.Tasks, taskSize, func(key, b []byte) {
		tid, ctx := le.Uint32(key), le.Uint64(b)
		if ctx != 0 && !children[tid] { // whose child it is the maps do not say
			events = append(events, Event{Kind: Fork, At: time.Duration(le.Uint64(b[16:])), Read: now, Ctx: ctx,
				Ret: int32(tid), Comm: comm(tid)})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return append(events, waits...), nil
}

const (
	taskSize  = 3 * 8
	loadInit  = 4  // LOAD_INIT
	loadWaits = 16 // LOAD_WAITS
)

// each goes through a map. One that changes may end it early, or have it begin
// anew; what is missed was told by an event.
func each(m *ebpf.Map, size int, do func(key, value []byte)) error {
	key, value := make([]byte, m.KeySize()), make([]byte, size)
	i := m.Iterate()
	for n := m.MaxEntries(); n > 0 && i.Next(&key, &value); n-- {
		do(key, value)
	}
	if err := i.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		return fmt.Errorf("read what is in flight: %w", err)
	}
	return nil
}

func comm(tid uint32) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", tid))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}
