// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// heavy are packages that cost at each start, by what they initialise or by
// what they draw in, or that have no business in the kernel's helper.
var heavy = []string{
	"encoding/json", "flag", "fmt", "log", "net", "os", "os/exec", "os/signal",
	"path/filepath", "regexp", "text/template",
	"compress/gzip", "crypto", "crypto/rand", "embed", "io/fs",
}

// own are the only modules besides this one and the standard library that the
// helper may link.
var own = []string{"safeload", "golang.org/x/sys"}

// TestLinksNothingHeavy looks at the helper as scripts/build.sh links it.
func TestLinksNothingHeavy(t *testing.T) {
	for _, arch := range []string{"arm", "arm64", "amd64"} {
		deps := listDeps(t, arch, "-tags", "safeload_embed")
		if !slices.Contains(deps, "safeload/guard") || !slices.Contains(deps, "runtime") {
			t.Fatalf("%s: the list of packages is not the helper's: %v", arch, deps)
		}
		for _, d := range deps {
			if slices.Contains(heavy, d) {
				t.Errorf("%s: links %s", arch, d)
			}
			first, _, _ := strings.Cut(d, "/")
			if strings.Contains(first, ".") && !slices.ContainsFunc(own, func(m string) bool {
				return d == m || strings.HasPrefix(d, m+"/")
			}) {
				t.Errorf("%s: links %s of another module", arch, d)
			}
		}
	}
	// The check itself: a plain build links the decompressors.
	if !slices.Contains(listDeps(t, "amd64"), "fmt") {
		t.Error("a plain build links no fmt: either the tag is not needed any more or this test sees nothing")
	}
}

func listDeps(t *testing.T, arch string, flags ...string) []string {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// As in scripts/build.sh, the decompressor comes from an overlay.
	file := filepath.Join(t.TempDir(), "program.go")
	if err := os.WriteFile(file, []byte("//go:build safeload_embed\n\npackage main\n\nconst program = \"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(wd, "program.go"): file,
	}})
	if err != nil {
		t.Fatal(err)
	}
	json := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(json, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append([]string{"list", "-deps", "-overlay", json}, append(flags, ".")...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "GOARM=6", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}
