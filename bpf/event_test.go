// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"

	"safeload/bpf/layout"
	"safeload/guard/graph"
)

func TestDecodeEvent(t *testing.T) {
	le := binary.LittleEndian
	var b []byte
	for _, v := range []uint64{1_500_000_000, 11, 22, 33, 44} {
		b = le.AppendUint64(b, v)
	}
	for _, v := range []uint32{uint32(Wait), 101, 100, uint32(WaitName), uint32(graph.Certain), 0xffffffff} {
		b = le.AppendUint32(b, v)
	}
	comm, name := make([]byte, 16), make([]byte, 64)
	copy(comm, "modprobe")
	copy(name, strings.Repeat("x", 64)) // no NUL: a name of full length
	b = append(append(b, comm...), name...)

	got, err := decodeEvent(b)
	want := Event{At: 1500 * time.Millisecond, ID: 11, Peer: 22, Ctx: 33, Cgroup: 44,
		Kind: Wait, TID: 101, TGID: 100, How: uint32(WaitName), Cert: graph.Certain, Ret: -1,
		Comm: "modprobe", Name: strings.Repeat("x", 64)}
	if err != nil || got != want {
		t.Errorf("decodeEvent = %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := decodeEvent(b[:layout.EventSize-1]); err == nil {
		t.Error("a short record was accepted")
	}
}

// The Go side reads these structures by offset; the object says how large the
// C side made them.
func TestLayout(t *testing.T) {
	spec, err := loadProbe()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		m    string
		size int
	}{
		{"scratch", layout.EventSize}, {"loads", layout.LoadSize}, {"config", layout.ConfigSize}, {"owner", layout.OwnerSize},
		{"flags", layout.FlagsSize}, {"tasks", 24}, {"requests", layout.RequestSize}, {"ring", layout.EntrySize},
		{"selfcheck", (32+32+8)*8 + 16},
	} {
		if got := int(spec.Maps[c.m].ValueSize); got != c.size {
			t.Errorf("map %s: value of %d bytes, the Go side takes %d", c.m, got, c.size)
		}
	}
	if st, ok := spec.Maps["scratch"].Value.(*btf.Struct); !ok || st.Members[len(st.Members)-1].Offset.Bytes() != 80 {
		t.Errorf("struct event does not end with name at 80: %v", spec.Maps["scratch"].Value)
	}
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(make([]byte, layout.EventSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEvent(b)
		if (err == nil) != (len(b) >= layout.EventSize) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		if strings.ContainsRune(e.Comm+e.Name, 0) {
			t.Errorf("a NUL in %q %q", e.Comm, e.Name)
		}
		_ = e.Kind.String()
	})
}
