// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestUnchanged: the package unchanged is initialised before what the other commands need, or it would be of no use.
func TestUnchanged(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	var trace strings.Builder
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, trace.String())
	}
	var order []string
	for line := range strings.Lines(trace.String()) {
		// init PACKAGE @0.1 ms, …
		if f := strings.Fields(line); len(f) > 1 && f[0] == "init" {
			order = append(order, f[1])
		}
	}
	first := slices.Index(order, "safeload/internal/unchanged")
	for _, name := range []string{"golang.org/x/sys/unix", "github.com/gdamore/tcell/v2", "safeload/audit", "safeload/bpf"} {
		if i := slices.Index(order, name); first < 0 || i < first {
			t.Errorf("%s is the initialiser %d, unchanged %d, of %v", name, i, first, order)
		}
	}
}
