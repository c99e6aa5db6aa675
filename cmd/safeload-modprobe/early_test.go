// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"safeload/internal/kmodtest"
)

// TestEarly: the package early is initialised before those whose initialisers
// may need more stack than there is at first.
func TestEarly(t *testing.T) {
	program := filepath.Join(t.TempDir(), "modprobe")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	order := kmodtest.InitOrder(t, program, "-V")
	early := slices.Index(order, "safeload/internal/entry/early")
	godebug := slices.Index(order, "internal/godebug")
	syscall := slices.Index(order, "syscall")
	if early < 0 || syscall < 0 || godebug >= 0 && godebug < early || syscall < early {
		t.Errorf("the order of initialisation is %v", order)
	}
}
