// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
)

// tree is what there is to ask for in a module tree.
type tree struct {
	dir, version string
	// paths of module files, relative to dir, and their names.
	paths, modules []string
	aliases        []string
	symbols        []string
	builtins       []string
	builtinAliases []string
	softdeps       []string
}

func readTree(dir string) (*tree, error) {
	t := &tree{dir: dir, version: filepath.Base(dir)}
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(dep)) {
		path, _, _ := strings.Cut(line, ":")
		t.paths = append(t.paths, path)
		t.modules = append(t.modules, moduleName(path))
	}
	t.aliases = t.second("modules.alias", "alias")
	t.symbols = t.second("modules.symbols", "alias")
	t.softdeps = t.second("modules.softdep", "softdep")
	for line := range strings.Lines(t.read("modules.builtin")) {
		t.builtins = append(t.builtins, moduleName(strings.TrimSpace(line)))
	}
	for s := range strings.SplitSeq(t.read("modules.builtin.modinfo"), "\x00") {
		if _, alias, ok := strings.Cut(s, ".alias="); ok {
			t.builtinAliases = append(t.builtinAliases, alias)
		}
	}
	return t, nil
}

func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return name
}

func (t *tree) read(file string) string {
	b, _ := os.ReadFile(filepath.Join(t.dir, file)) // absent in old trees
	return string(b)
}

// second lists the second words of the lines that begin with key.
func (t *tree) second(file, key string) (words []string) {
	for line := range strings.Lines(t.read(file)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == key {
			words = append(words, f[1])
		}
	}
	return words
}

// sample takes n of list, always the same ones.
func sample(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	out := make([]string, 0, n)
	for i := range n {
		out = append(out, list[i*len(list)/n])
	}
	return out
}

// concrete makes a name that a pattern matches, in one of several ways.
func concrete(pattern string, way int) string {
	fill := [...]string{"", "0", "00001AF4", "zz-zz"}[way%4]
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			b.WriteString(fill)
		case '?':
			b.WriteByte('q')
		case '[':
			b.WriteByte(pattern[i+1])
			for i < len(pattern)-1 && pattern[i] != ']' {
				i++
			}
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
