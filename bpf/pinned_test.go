// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"safeload/bpf/layout"
)

// probeMapsOf makes maps as the programs have them.
func probeMapsOf(t *testing.T, names ...string) map[string]*ebpf.Map {
	t.Helper()
	spec, err := loadProbe()
	if err != nil {
		t.Fatal(err)
	}
	made := make(map[string]*ebpf.Map)
	for _, n := range names {
		m, err := ebpf.NewMap(spec.Maps[n])
		if errors.Is(err, ebpf.ErrNotSupported) || errors.Is(err, os.ErrPermission) {
			t.Skipf("this kernel does not let us make BPF maps: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		made[n] = m
	}
	return made
}

// What is in flight is told in the order in which it began, waits last.
func TestInFlight(t *testing.T) {
	m := probeMapsOf(t, "loads", "requests", "tasks")
	le := binary.LittleEndian
	put := func(name string, key any, v []byte) {
		t.Helper()
		if err := m[name].Put(key, v); err != nil {
			t.Fatal(err)
		}
	}
	load := func(id, began, ctx, wait uint64, tid, flags uint32, name string) {
		v := make([]byte, layout.LoadSize)
		for i, w := range []uint64{id, began, ctx, 0, 0, wait} {
			le.PutUint64(v[8*i:], w)
		}
		le.PutUint32(v[64:], tid)
		le.PutUint32(v[68:], tid)
		le.PutUint32(v[72:], flags)
		copy(v[88:], name)
		put("loads", id, v)
	}
	load(1, 100, 0, 0, 4000001, layout.LoadTold|layout.LoadInit, "a")
	load(2, 300, 9, 1, 4000002, layout.LoadTold|layout.LoadWaits, "a")
	load(3, 400, 0, 0, 4000004, 0, "") // a call that may come to nothing
	r := make([]byte, layout.RequestSize)
	for i, w := range []uint64{9, 200, 1} {
		le.PutUint64(r[8*i:], w)
	}
	le.PutUint32(r[40:], 4000001)
	le.PutUint32(r[48:], 4000002)
	le.PutUint32(r[52:], uint32(ViaTask))
	copy(r[64:], "alias")
	put("requests", uint64(9), r)
	for _, tid := range []uint32{4000002, 4000003} { // the child, and one of its own
		v := le.AppendUint64(nil, 9)
		v = le.AppendUint64(v, 0)
		put("tasks", tid, le.AppendUint64(v, 250))
	}
	got, err := (&probeMaps{Loads: m["loads"], Requests: m["requests"], Tasks: m["tasks"]}).inFlight()
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	for _, e := range got {
		kinds = append(kinds, e.Kind)
	}
	if want := []Kind{LoadBegin, Init, Request, Child, Fork, LoadBegin, Wait}; !slices.Equal(kinds, want) {
		t.Fatalf("%v, want %v", kinds, want)
	}
	if q := got[2]; q.ID != 9 || q.Peer != 1 || Via(q.How) != ViaTask || q.Name != "alias" || q.TID != 4000001 {
		t.Errorf("the request: %+v", q)
	}
	if f := got[4]; f.Ret != 4000003 || f.Ctx != 9 {
		t.Errorf("the task below it: %+v", f)
	}
	if w := got[6]; w.ID != 2 || w.Peer != 1 || WaitHow(w.How) != WaitName || w.Name != "a" || w.Ret != Unsent || w.Cert != 0 {
		t.Errorf("the wait: %+v", w)
	}
}

// A probe says to its readers that it is whole once nothing in flight is older,
// and nothing any more once it was taken away.
func TestCompleted(t *testing.T) {
	m := probeMapsOf(t, "owner", "names", "tasks")
	p := &probeMaps{Owner: m["owner"], Names: m["names"], Tasks: m["tasks"]}
	put := func(v []byte) {
		t.Helper()
		if err := p.Owner.Put(uint32(0), v); err != nil {
			t.Fatal(err)
		}
	}
	put(ownerValue(0, 0, ancestryABI, true, true, 7))
	if done, err := p.completed(); !done || err != nil {
		t.Errorf("whole: %v, %v", done, err)
	}
	for _, abi := range []uint32{0, ancestryABI + 1} {
		put(ownerValue(0, 0, abi, true, true, 7))
		if _, err := p.completed(); !errors.Is(err, ErrUnloaded) {
			t.Errorf("layout %d: %v", abi, err)
		}
	}
}
