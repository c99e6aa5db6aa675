// SPDX-License-Identifier: Apache-2.0

package modprobe_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestOutside tests a program of another Go module that uses the packages: what
// it cannot name or reach, nobody outside can.
func TestOutside(t *testing.T) {
	for _, args := range [][]string{{"vet", "."}, {"test", "-vet=off", "-count=1", "."}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = "../examples/loadmod"
		cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=readonly", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %v: %v\n%s", args, err, out)
		}
	}
	// The check itself: what is internal is refused out there.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/loadmod")); err != nil {
		t.Fatal(err)
	}
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/inside.go", []byte("package main\n\nimport _ \"safeload/internal/modload\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	edit := exec.Command("go", "mod", "edit", "-replace", "safeload="+root+"/..")
	build := exec.Command("go", "build", "-o", os.DevNull, ".")
	edit.Dir, build.Dir = dir, dir
	if out, err := edit.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := build.CombinedOutput(); err == nil {
		t.Errorf("an import of internal/ builds: this test sees nothing: %s", out)
	}
}
