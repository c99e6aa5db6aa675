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

	"safeload/bpf/layout"
)

// inFlight tells what a probe that stays knows to be in flight, as the events
// that led there: who begins to read sees what began before. What happens
// meanwhile is told again by the ring buffer.
func (m *probeMaps) inFlight() ([]Event, error) {
	var events, waits []Event
	le := binary.LittleEndian
	now := Now()
	err := each(m.Loads, layout.LoadSize, func(_, b []byte) {
		id, tid, flags := le.Uint64(b[layout.LoadID:]), le.Uint32(b[layout.LoadTID:]), le.Uint32(b[layout.LoadFlags:])
		if flags&layout.LoadTold == 0 {
			return // its event is to come, or it is none
		}
		e := Event{At: time.Duration(le.Uint64(b[layout.LoadBegan:])), Read: now, ID: id, Ctx: le.Uint64(b[layout.LoadCtx:]), Cgroup: le.Uint64(b[layout.LoadCgroup:]),
			TID: tid, TGID: le.Uint32(b[layout.LoadTGID:]), Comm: comm(tid)}
		begin := e
		begin.Kind, begin.Ret = LoadBegin, int32(le.Uint32(b[layout.LoadFD:]))
		events = append(events, begin)
		e.Name = cString(b[layout.LoadName:][:layout.NameLen])
		if flags&layout.LoadInit != 0 {
			e.Kind = Init
			events = append(events, e)
		}
		if le.Uint64(b[layout.LoadLock:]) != 0 {
			lock := e
			lock.Kind, lock.At, lock.Peer, lock.How = Lock, now, le.Uint64(b[layout.LoadHolder:]), le.Uint32(b[layout.LoadLockHow:])
			waits = append(waits, lock)
		}
		if flags&layout.LoadWaits == 0 {
			return
		}
		e.Kind, e.At, e.Peer, e.How, e.Ret = Wait, now, le.Uint64(b[layout.LoadWait:]), uint32(WaitName), Unsent
		if le.Uint64(b[layout.LoadWant:]) != 0 { // the inode that it wants
			e.How, e.Name = uint32(WaitFile), ""
		}
		waits = append(waits, e)
	})
	if err != nil {
		return nil, err
	}
	children := make(map[uint32]bool)
	err = each(m.Requests, layout.RequestSize, func(_, b []byte) {
		e := Event{Kind: Request, At: time.Duration(le.Uint64(b[layout.RequestBegan:])), Read: now, ID: le.Uint64(b[layout.RequestID:]), Peer: le.Uint64(b[layout.RequestLoad:]),
			Ctx: le.Uint64(b[layout.RequestParent:]), TID: le.Uint32(b[layout.RequestTID:]), TGID: le.Uint32(b[layout.RequestTGID:]), How: le.Uint32(b[layout.RequestHop:]),
			Name: cString(b[layout.RequestName:][:layout.NameLen]), Comm: cString(b[layout.RequestComm:][:layout.CommLen])}
		events = append(events, e)
		if child := le.Uint32(b[layout.RequestChild:]); child != 0 {
			children[child] = true
			events = append(events, Event{Kind: Child, At: e.At, Read: now, ID: e.ID, Peer: e.Peer, Ctx: e.ID,
				TID: child, TGID: child, Comm: comm(child)})
		}
	})
	if err != nil {
		return nil, err
	}
	err = each(m.Tasks, layout.TaskSize, func(key, b []byte) {
		tid, ctx := le.Uint32(key), le.Uint64(b[layout.TaskCtx:])
		if ctx != 0 && !children[tid] { // whose child it is the maps do not say
			events = append(events, Event{Kind: Fork, At: time.Duration(le.Uint64(b[layout.TaskBorn:])), Read: now, Ctx: ctx,
				Ret: int32(tid), Comm: comm(tid)})
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	return append(events, waits...), nil
}

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
