// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEarly: the package early is initialised before those whose initialisers
// may need more stack than there is at first.
func TestEarly(t *testing.T) {
	program := filepath.Join(t.TempDir(), "modprobe")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "-V")
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
	early := slices.Index(order, "safeload/internal/entry/early")
	godebug := slices.Index(order, "internal/godebug")
	syscall := slices.Index(order, "syscall")
	if early < 0 || syscall < 0 || godebug >= 0 && godebug < early || syscall < early {
		t.Errorf("the order of initialisation is %v", order)
	}
}
