// SPDX-License-Identifier: Apache-2.0

// Package kmodtest writes small module trees for tests, with indexes as
// depmod(8) writes them but for the compression of paths.
package kmodtest

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Tree describes a module tree.
type Tree struct {
	// Modules maps names to the names they depend on, the nearest first.
	Modules map[string][]string
	// Aliases are pairs of pattern and module, in order of priority.
	Aliases [][2]string
	// Builtin are the modules that are part of the kernel.
	Builtin []string
	// Files are more files, by path below the tree.
	Files map[string]string
}

// Write writes the tree to dir, which is the one that holds modules.dep.bin.
// Modules are empty files in kernel/.
func (t *Tree) Write(tb testing.TB, dir string) {
	tb.Helper()
	var deps, aliases, builtin [][2]string
	for name, needs := range t.Modules {
		line := "kernel/" + name + ".ko:"
		for _, n := range needs {
			line += " kernel/" + n + ".ko"
		}
		deps = append(deps, [2]string{strings.ReplaceAll(name, "-", "_"), line})
		write(tb, filepath.Join(dir, "kernel", name+".ko"), "")
	}
	aliases = t.Aliases
	for _, b := range t.Builtin {
		builtin = append(builtin, [2]string{b, "kernel/" + b + ".ko"})
	}
	for file, entries := range map[string][][2]string{
		"modules.dep.bin": deps, "modules.alias.bin": aliases, "modules.symbols.bin": nil, "modules.builtin.bin": builtin,
	} {
		write(tb, filepath.Join(dir, file), string(Index(entries)))
	}
	for file, text := range t.Files {
		write(tb, filepath.Join(dir, file), text)
	}
}

func write(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

type node struct {
	children map[byte]*node
	values   []string
	priority []uint32
}

// Index makes an index of keys and values, whose priority is their place.
func Index(entries [][2]string) []byte {
	root := &node{children: map[byte]*node{}}
	for i, e := range entries {
		n := root
		for _, c := range []byte(e[0]) {
			if n.children[c] == nil {
				n.children[c] = &node{children: map[byte]*node{}}
			}
			n = n.children[c]
		}
		n.values, n.priority = append(n.values, e[1]), append(n.priority, uint32(i))
	}
	b := binary.BigEndian.AppendUint32(nil, 0xB007F457)
	b = binary.BigEndian.AppendUint32(b, 2<<16|1)
	b = append(b, 0, 0, 0, 0)
	var at uint32
	b, at = root.append(b)
	binary.BigEndian.PutUint32(b[8:], at)
	return b
}

// append writes the children, then n itself, and returns n's place with its
// flags.
func (n *node) append(b []byte) (_ []byte, at uint32) {
	var keys []byte
	places := map[byte]uint32{}
	for c := range n.children {
		keys = append(keys, c)
	}
	slices.Sort(keys)
	for _, c := range keys {
		b, places[c] = n.children[c].append(b)
	}
	at = uint32(len(b))
	if len(keys) > 0 {
		at |= 0x20000000
		first, last := keys[0], keys[len(keys)-1]
		b = append(b, first, last)
		for c := int(first); c <= int(last); c++ {
			b = binary.BigEndian.AppendUint32(b, places[byte(c)])
		}
	}
	if len(n.values) > 0 {
		at |= 0x40000000
		b = binary.BigEndian.AppendUint32(b, uint32(len(n.values)))
		for i, v := range n.values {
			b = append(append(binary.BigEndian.AppendUint32(b, n.priority[i]), v...), 0)
		}
	}
	if len(keys) == 0 && len(n.values) == 0 {
		b = append(b, 0)
	}
	return b, at
}

// Gzip compresses a file as gzip(1) with that level does.
func Gzip(tb testing.TB, b []byte, level int) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// Code is executable code with something of everything, for decoders: the beginning of the test's own program.
func Code(tb testing.TB) []byte {
	tb.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		tb.Fatal(err)
	}
	return b[:min(len(b), 200_000)]
}
