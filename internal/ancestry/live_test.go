// SPDX-License-Identifier: Apache-2.0

//go:build vmtest

package ancestry

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// TestOwnChain runs as the install command of what the module named in MODULE
// requests while it loads, and the probe runs.
func TestOwnChain(t *testing.T) {
	module, self := os.Getenv("MODULE"), os.Getpid()
	if module == "" {
		t.Fatal("MODULE names no module")
	}
	const runs = 51
	var took, starts []time.Duration
	for range runs {
		began := time.Now()
		if err := exec.Command("/bin/busybox", "true").Run(); err != nil {
			t.Fatal(err)
		}
		starts = append(starts, time.Since(began))
		began = time.Now()
		m, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		v, hops := m.Decide(module, self, nil)
		m.Close()
		took = append(took, time.Since(began))
		if v != Proven || len(hops) != 1 || hops[0].Module != module || hops[0].Request == "" || hops[0].Child <= 0 {
			t.Fatalf("%s waits for us: %v, %+v", module, v, hops)
		}
	}
	slices.Sort(took)
	slices.Sort(starts)
	t.Logf("own chain: fastest %v, median %v, slowest %v of %d; to start a process takes %v", took[0], took[runs/2], took[runs-1], runs, starts[runs/2])
	if took[runs/2] >= starts[runs/2] {
		t.Errorf("reading our own chain takes %v, want less than to start a process takes, %v", took[runs/2], starts[runs/2])
	}
}
