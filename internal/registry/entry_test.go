// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"testing"
)

func FuzzEntry(f *testing.F) {
	e := Entry{PID: 3, Start: 4, State: StateWait, Module: "m", Token: NewToken(), Since: 5}
	f.Add(e.format())
	f.Add([]byte("schema=1\npid=99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxEntry {
			return
		}
		e, ok := parseEntry(b)
		if !ok {
			return
		}
		again, ok := parseEntry(e.format())
		if ok && (again.PID != e.PID || again.Start != e.Start || again.Token != e.Token) {
			t.Errorf("%+v became %+v", e, again)
		}
	})
}

func TestEntryKeepsCommand(t *testing.T) {
	e := Entry{PID: 2, Start: 3, State: StateCommand, Token: NewToken(), Module: "m", Command: "remove", Plain: true}
	if got, ok := parseEntry(e.format()); !ok || got != e {
		t.Errorf("%+v, %v; want %+v", got, ok, e)
	}
}

func TestEntryTellsTheFile(t *testing.T) {
	e := Entry{PID: 7, Start: 8, State: StateLoad, Module: "a", Token: NewToken(), File: Inode{1<<63 + 5, 9}}
	if got, ok := parseEntry(e.format()); !ok || got != e {
		t.Errorf("%+v %v, want %+v", got, ok, e)
	}
	for _, bad := range []string{"file=1\n", "file=1:\n", "file=:2\n", "file=1:x\n", "file=\n"} {
		if _, ok := parseEntry(append(e.format(), bad...)); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}
