// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/observe/observetest"
	"safeload/internal/registry"
)

// TestNameInTheFile: a task loads a file that cannot be read as it is, and whose
// name is not the module's. An invocation of ours that has read that file says
// which module it is.
func TestNameInTheFile(t *testing.T) {
	for what, read := range map[string]bool{"one of ours has read it": true, "nobody has": false} {
		t.Run(what, func(t *testing.T) {
			s := newSystem(t)
			s.SetComing("a")
			s.AddLoad(100, 50, 500, "a_current", observetest.Request)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
			if read {
				var st unix.Stat_t
				if err := unix.Stat(filepath.Join(s.Dir, "ko/a_current.ko"), &st); err != nil {
					t.Fatal(err)
				}
				s.Entries[0].File = registry.Inode{Dev: uint64(st.Dev), Ino: st.Ino}
			}
			proven, _ := s.judge(200, nil)
			if proven != read {
				t.Errorf("proven: %v, want %v", proven, read)
			}
		})
	}
}
