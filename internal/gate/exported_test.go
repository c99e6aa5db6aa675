// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// What a program outside of this module can import must not need a type that it cannot name.
func TestExported(t *testing.T) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export,Name,Standard,GoFiles", "safeload/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	var public []string
	for d := json.NewDecoder(out); ; {
		var p struct {
			ImportPath, Export, Name string
			Standard                 bool
			GoFiles                  []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
		if strings.HasPrefix(p.ImportPath, "safeload/") && p.Name != "main" && len(p.GoFiles) > 0 && !isInternal(p.ImportPath) {
			public = append(public, p.ImportPath)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(public, "safeload/guard/survey") {
		t.Fatalf("the packages that can be imported are not these: %v", public)
	}
	compiled := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
	for _, path := range public {
		p, err := compiled.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, hidden := range hiddenIn(p) {
			t.Errorf("%s %s", path, hidden)
		}
	}
}

// isInternal tells whether a package of this module cannot be imported from outside.
func isInternal(path string) bool {
	return strings.HasPrefix(path, "safeload/") && slices.Contains(strings.Split(path, "/"), "internal")
}

// hiddenIn lists the exported names of a package whose type leads to one of an internal package.
func hiddenIn(p *types.Package) (list []string) {
	for _, name := range p.Scope().Names() {
		o := p.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		s := signature{of: p, seen: map[types.Type]bool{}}
		if named, ok := o.Type().(*types.Named); ok && named.Obj() == o {
			s.declared(named)
		} else {
			s.visit(o.Type())
		}
		for _, hidden := range s.hidden {
			list = append(list, name+" needs "+hidden)
		}
	}
	return list
}

// signature is what somebody who uses an exported name can come upon.
type signature struct {
	of     *types.Package
	seen   map[types.Type]bool
	hidden []string
}

// declared visits a type that the package declares, with its methods.
func (s *signature) declared(t *types.Named) {
	s.visit(t.Underlying())
	for m := range t.Methods() {
		if m.Exported() {
			s.visit(m.Type())
		}
	}
}

// name notes a type that cannot be named outside. An unexported one of the same package is looked into, as its fields
// and methods can be used.
func (s *signature) name(o *types.TypeName) {
	switch {
	case o.Pkg() == nil:
	case isInternal(o.Pkg().Path()):
		s.hidden = append(s.hidden, o.Pkg().Path()+"."+o.Name())
	case o.Pkg() == s.of && !o.Exported():
		if t, ok := o.Type().(*types.Named); ok {
			s.declared(t)
		}
	}
}

func (s *signature) visit(t types.Type) {
	if s.seen[t] {
		return
	}
	s.seen[t] = true
	switch t := t.(type) {
	case *types.Named:
		s.name(t.Obj())
		for a := range t.TypeArgs().Types() {
			s.visit(a)
		}
	case *types.Alias:
		s.name(t.Obj())
		s.visit(types.Unalias(t))
	case *types.Map:
		s.visit(t.Key())
		s.visit(t.Elem())
	case interface{ Elem() types.Type }: // pointers, slices, arrays, channels
		s.visit(t.Elem())
	case *types.Signature:
		s.visit(t.Params())
		s.visit(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			s.visit(v.Type())
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() {
				s.visit(f.Type())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			if m.Exported() {
				s.visit(m.Type())
			}
		}
	}
}

// The check itself sees what it is to see.
func TestHiddenIn(t *testing.T) {
	set := token.NewFileSet()
	check := func(path, source string, imports map[string]*types.Package) *types.Package {
		f, err := parser.ParseFile(set, path+".go", "package p\n"+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		p, err := (&types.Config{Importer: packages(imports)}).Check(path, set, []*ast.File{f}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	imports := map[string]*types.Package{"safeload/internal/in": check("safeload/internal/in", "type T struct{}; func (T) M() {}", nil)}
	for source, want := range map[string]string{
		"func F(in.T) {}":                       "F",
		"func f(in.T) {}":                       "",
		"type A = in.T":                         "A",
		"type S struct{ f in.T }":               "",
		"type S struct{ F map[string][]*in.T }": "S",
		"type S struct{ in.T }":                 "S",
		"type S struct{}; func (S) M() (chan in.T, error) { return nil, nil }": "S",
		"type S struct{}; func (*S) m(in.T) {}":                                "",
		"type I interface{ M(func(in.T)) }":                                    "I",
		"type s struct{ F in.T }; func New() *s { return nil }":                "New",
		"var V in.T":              "V",
		"func F() { in.T{}.M() }": "",
	} {
		got := hiddenIn(check("safeload/p", "import in \"safeload/internal/in\"\nvar _ in.T\n"+source, imports))
		switch {
		case want == "" && got != nil, want != "" && (len(got) != 1 || got[0] != want+" needs safeload/internal/in.T"):
			t.Errorf("%s: %q, want one of %q", source, got, want)
		}
	}
}

type packages map[string]*types.Package

// Import is for go/types.
func (p packages) Import(path string) (*types.Package, error) { return p[path], nil }
