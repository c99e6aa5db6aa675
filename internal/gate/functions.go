// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
)

// What a function may have without a reason. Tests have tables, and are left out.
const (
	functionLines = 70
	functionDepth = 5 // of if, for, switch and select, one in another
)

// inOnePiece is how a function's comment says why it is longer or deeper.
var inOnePiece = regexp.MustCompile(`(?m)^In one piece: \S.{20,}`)

// functionsFit checks all functions of the program against these bounds.
func functionsFit(j *job) error {
	list, err := files(j, "*.go", ":!*_test.go", ":!*_bpfel.go")
	for _, name := range list {
		b, e := os.ReadFile(filepath.Join(j.repo, name))
		if e == nil {
			e = functionsOf(name, b)
		}
		err = errors.Join(err, e)
	}
	return err
}

func functionsOf(name string, source []byte) (err error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		at := set.Position(fn.Pos())
		lines, depth := set.Position(fn.End()).Line-at.Line+1, depthOf(fn.Body)
		reason := inOnePiece.MatchString(fn.Doc.Text())
		switch fits := lines <= functionLines && depth <= functionDepth; {
		case !fits && !reason:
			err = errors.Join(err, fmt.Errorf("%s:%d: %s has %d lines, %d deep: at most %d and %d, or a comment with a line \"In one piece: REASON\"",
				name, at.Line, fn.Name.Name, lines, depth, functionLines, functionDepth))
		case fits && reason:
			err = errors.Join(err, fmt.Errorf("%s:%d: %s fits by now: its comment need not say why it is in one piece", name, at.Line, fn.Name.Name))
		}
	}
	return err
}

// depthOf is how deep statements stand one in another; an "else if" is as deep as
// its if.
func depthOf(n ast.Node) (most int) {
	ast.Inspect(n, func(m ast.Node) bool {
		if m == n {
			return true
		}
		switch m := m.(type) {
		case *ast.IfStmt:
			most = max(most, 1+depthOf(m.Body))
			switch e := m.Else.(type) {
			case *ast.IfStmt:
				most = max(most, depthOf(&ast.BlockStmt{List: []ast.Stmt{e}}))
			case *ast.BlockStmt:
				most = max(most, 1+depthOf(e))
			}
			return false
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			most = max(most, 1+depthOf(m))
			return false
		}
		return true
	})
	return most
}
