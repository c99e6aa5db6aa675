// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"testing"

	"safeload/internal/kmodtest"
)

// TestUnchanged: the package unchanged is initialised before what the other commands need, or it would be of no use.
func TestUnchanged(t *testing.T) {
	order := kmodtest.InitOrder(t, os.Args[0], "-test.run=^$")
	first := slices.Index(order, "safeload/internal/unchanged")
	for _, name := range []string{"golang.org/x/sys/unix", "github.com/gdamore/tcell/v2", "safeload/audit", "safeload/bpf"} {
		if i := slices.Index(order, name); first < 0 || i < first {
			t.Errorf("%s is the initialiser %d, unchanged %d, of %v", name, i, first, order)
		}
	}
}
