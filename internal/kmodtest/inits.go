// SPDX-License-Identifier: Apache-2.0

package kmodtest

import (
	"os/exec"
	"strings"
	"testing"
)

// InitOrder runs a Go program, with no environment but what is needed for that, and returns its packages in the order in
// which they are initialised.
func InitOrder(t testing.TB, program string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(program, args...)
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
	return order
}
