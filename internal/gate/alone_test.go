// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAlone: the packages that are compiled without the race detector give it nothing to do: they start no goroutine, and have
// no parallel tests.
func TestAlone(t *testing.T) {
	for _, p := range alone {
		if found := concurrent(t, filepath.Join("../..", strings.TrimPrefix(p, "safeload/"))); len(found) > 0 {
			t.Errorf("%s is to be compiled with the race detector: it has %q", p, found)
		}
	}
	if found := concurrent(t, "."); !slices.Contains(found, "go") {
		t.Errorf("this package starts goroutines, and %q was found", found)
	}
}

// concurrent says what of all this the files of a directory have.
func concurrent(t *testing.T, dir string) (found []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no Go in %s: %v", dir, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				found = append(found, "go")
			case *ast.SelectorExpr:
				if n.Sel.Name == "Parallel" || n.Sel.Name == "Go" {
					found = append(found, n.Sel.Name)
				}
			}
			return true
		})
	}
	return found
}
