// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"safeload/internal/observe/observetest"
)

// Nothing is concluded of a kernel that has not oopsed, or that may hide tasks.
func TestDeadNeedsAnOops(t *testing.T) {
	s := observetest.NewOopsed(t)
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	if got := deadModules(p, sys); !slices.Equal(got, []string{"m"}) {
		t.Fatalf("%q, want m", got)
	}
	for path, text := range map[string]string{
		"proc/sys/kernel/tainted": "4096\n",
		"proc/self/mountinfo":     "22 1 0:21 / /proc rw - proc proc rw,hidepid=invisible\n",
	} {
		was, err := os.ReadFile(filepath.Join(s.Dir, path))
		if err != nil {
			t.Fatal(err)
		}
		s.Write(path, text)
		if got := deadModules(p, sys); got != nil {
			t.Errorf("%s %q: %q, want none", path, text, got)
		}
		s.Write(path, string(was))
	}
}
