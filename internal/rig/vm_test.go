// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"safeload/internal/rig/report"
)

// TestVM is the rig for go test: go test ./internal/rig -run TestVM/arm-6.12/self. A run of everything is
// scripts/vm-test.sh's, which shares guests between cases.
func TestVM(t *testing.T) {
	// Who runs all tests wants no guest booted.
	if asked := flag.Lookup("test.run").Value.String(); !strings.HasPrefix(strings.TrimPrefix(asked, "^"), "TestVM/") {
		t.Skip("no guest is booted but for -run TestVM/KERNEL/CASE")
	}
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	cache := os.Getenv("SAFELOAD_CACHE")
	if cache == "" {
		cache = filepath.Join(repo, ".cache")
	}
	o := Options{Repo: repo, Cache: cache}
	r, err := newRun(o)
	if err != nil {
		t.Fatal(err)
	}
	r.clean()
	for _, k := range r.kernels {
		t.Run(k.Key, func(t *testing.T) {
			for _, c := range r.all {
				if !c.Applies(k.Key, false) {
					continue
				}
				t.Run(c.Name, func(t *testing.T) {
					one := o
					one.Arch, one.Series, one.Cases = k.Arch, strings.TrimPrefix(k.Key, k.Arch+"-"), []string{c.Name}
					verdicts, err := Run(t.Context(), one)
					if err != nil {
						t.Fatal(err)
					}
					if len(verdicts) == 0 {
						t.Fatal("nothing was run")
					}
					for _, v := range verdicts {
						if v.Outcome == report.Fail {
							t.Errorf("%s %s: %s", v.Case, v.Phase, v.Text)
						}
					}
				})
			}
		})
	}
}
