// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNameInTheFile: a task loads a file that cannot be read as it is, and whose
// name is not the module's. An invocation of ours that has read that file says
// which module it is.
func TestNameInTheFile(t *testing.T) {
	for what, read := range map[string]bool{"one of ours has read it": true, "nobody has": false} {
		t.Run(what, func(t *testing.T) {
			s := newSystem(t)
			s.coming("a")
			s.load(100, 50, 500, "a_current", request)
			s.waits(200, s.helperOf(200), 510, "a")
			if read {
				var st unix.Stat_t
				if err := unix.Stat(filepath.Join(s.dir, "ko/a_current.ko"), &st); err != nil {
					t.Fatal(err)
				}
				s.entries[0].file = inode{uint64(st.Dev), st.Ino}
			}
			proven, _ := s.judge(200, nil)
			if proven != read {
				t.Errorf("proven: %v, want %v", proven, read)
			}
		})
	}
}

func TestEntryTellsTheFile(t *testing.T) {
	e := entry{pid: 7, start: 8, state: stateLoad, module: "a", token: newToken(), file: inode{1<<63 + 5, 9}}
	if got, ok := parseEntry(e.format()); !ok || got != e {
		t.Errorf("%+v %v, want %+v", got, ok, e)
	}
	for _, bad := range []string{"file=1\n", "file=1:\n", "file=:2\n", "file=1:x\n", "file=\n"} {
		if _, ok := parseEntry(append(e.format(), bad...)); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}
