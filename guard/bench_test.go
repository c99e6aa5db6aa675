// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"testing"

	"safeload/internal/proc"
)

// What a load pays that meets nobody: the read of initstate. Compare with the
// registry entry that is made only once the load is submitted.
func BenchmarkNothingComing(b *testing.B) {
	for b.Loop() {
		if proc.State("no_such_module") == proc.Coming {
			b.Fatal("it is coming")
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("only root publishes")
	}
	g := New(Options{Dir: b.TempDir() + "/run", Log: func(string) {}})
	defer g.Close()
	for b.Loop() {
		if err := g.Submit(Load{Module: "no_such_module"}, func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// One look at this machine's tasks, and the verdict's graph.
func BenchmarkLook(b *testing.B) {
	p, err := proc.OpenProc()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	eyes := &observer{proc: p}
	n := 0
	for b.Loop() {
		s := eyes.look(nil, true)
		s.system(best, nil)
		n = len(s.tasks)
	}
	b.ReportMetric(float64(n), "tasks")
}
