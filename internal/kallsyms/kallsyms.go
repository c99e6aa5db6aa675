// SPDX-License-Identifier: Apache-2.0

// Package kallsyms reads the functions of the running kernel from /proc/kallsyms, once for all who ask. The kernel writes
// some 100,000 lines whenever that file is read, a third of a second of a slow board's processor. Only what was asked for is
// kept: all functions would be some megabytes of a watch's memory.
//
// /proc/kallsyms is in the order of addresses, modules last (kernel/kallsyms.c, kallsyms_seq_show). A line has an address, a
// letter (t and w are functions) and a name; one of a module has a tab and the module's name after it. What may be hooked, or
// wait, lies before the symbol _etext, so the reading ends there.
package kallsyms

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"safeload/internal/treefile"
)

// Path is where the kernel shows them; /proc has to be mounted.
const Path = "/proc/kallsyms"

// A Function is one of the kernel, not of a module.
type Function struct {
	Name string // as the kernel has it: a compiler's clone has its kind behind a point
	From uint64 // address, 0 where kernel.kptr_restrict hides it from this process
	To   uint64 // address of the next function, 0 if it is not known
}

// Base is the name without what a compiler puts behind a point.
func (f Function) Base() string { base, _, _ := strings.Cut(f.Name, "."); return base }

// Clone is what a compiler puts behind the name and a point, if anything.
func (f Function) Clone() string { _, clone, _ := strings.Cut(f.Name, "."); return clone }

// Functions are those of some names, in the kernel's order.
type Functions struct {
	Found []Function
	Total int // how many functions were read to find them

	open  []int // of Found, those whose end is not known yet
	width int   // of the address of the last line
}

var (
	mutex sync.Mutex
	wants = make(map[string]bool)
	known = make(map[string]*Functions)
)

// Want says which names are going to be asked for, so that one reading finds all of them. It is for variables of packages, and
// returns nothing of use.
func Want(names ...string) struct{} {
	mutex.Lock()
	defer mutex.Unlock()
	want(names)
	return struct{}{}
}

// want reports whether all of them were wanted already.
func want(names []string) bool {
	all := true
	for _, n := range names {
		all = all && wants[n]
		wants[n] = true
	}
	return all
}

// Of returns the functions of these names, and their clones, and perhaps others, from a file, which is read the first time
// only. The error is that of opening or reading the file: ENOENT without CONFIG_KALLSYMS or without /proc.
func Of(path string, names ...string) (*Functions, error) {
	mutex.Lock()
	defer mutex.Unlock()
	if f := known[path]; want(names) && f != nil {
		return f, nil
	}
	file, err := treefile.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	f, err := read(file, wants)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	known[path] = f
	return f, nil
}

// Read reads the functions of these names from what looks like /proc/kallsyms.
func Read(r io.Reader, names ...string) (*Functions, error) {
	wanted := make(map[string]bool, len(names))
	for _, n := range names {
		wanted[n] = true
	}
	return read(r, wanted)
}

// names are those that are wanted. Nearly all of a kernel's functions are not, so the first look is at what is cheap.
type names struct {
	of    map[string]bool
	begin [1024]bool // the sums of how they begin
}

func newNames(of map[string]bool) *names {
	n := &names{of: of}
	for name := range of {
		n.begin[beginning([]byte(name+"."))] = true
	}
	return n
}

// beginning sums up the first four bytes of a name, or those before the point that ends it.
func beginning(name []byte) uint {
	sum := uint(0)
	for _, b := range name[:min(len(name), 4)] {
		if b == '.' {
			break
		}
		sum = sum*11 + uint(b)
	}
	return sum % 1024
}

// has reports whether a name is one of them, or a compiler's clone.
func (n *names) has(name []byte) bool {
	if !n.begin[beginning(name)] {
		return false
	}
	base, _, _ := bytes.Cut(name, []byte("."))
	return n.of[string(base)]
}

func read(r io.Reader, of map[string]bool) (*Functions, error) {
	f, wanted := &Functions{}, newNames(of)
	buffer, kept := make([]byte, 1<<16), 0
	for {
		n, err := r.Read(buffer[kept:])
		have := buffer[:kept+n]
		whole := bytes.LastIndexByte(have, '\n') + 1
		if err == io.EOF {
			whole = len(have)
		}
		if f.take(have[:whole], wanted) {
			return f, nil
		}
		kept = copy(buffer, have[whole:])
		switch {
		case err == io.EOF:
			return f, nil
		case err != nil:
			return nil, err
		case kept == len(buffer):
			return nil, fmt.Errorf("a line of more than %d bytes", kept)
		}
	}
}

// take finds what is wanted in lines, and reports whether there will be no more.
func (f *Functions) take(lines []byte, wanted *names) (over bool) {
	for len(lines) > 0 {
		line := lines
		if end := bytes.IndexByte(lines, '\n'); end >= 0 {
			line, lines = lines[:end], lines[end+1:]
		} else {
			lines = nil
		}
		at := f.width
		if at >= len(line) || line[at] != ' ' {
			at = bytes.IndexByte(line, ' ')
		}
		if at < 0 || at+3 >= len(line) || line[at+2] != ' ' {
			continue
		}
		f.width = at
		name := line[at+3:]
		if name[len(name)-1] == ']' && bytes.IndexByte(name, '\t') >= 0 {
			return true
		}
		if len(f.open) > 0 {
			f.end(Number(line[:at]))
		}
		if string(name) == "_etext" {
			return true
		}
		if kind := line[at+1] | 0x20; kind != 't' && kind != 'w' {
			continue
		}
		f.Total++
		if wanted.has(name) {
			f.open = append(f.open, len(f.Found))
			f.Found = append(f.Found, Function{Name: string(name), From: Number(line[:at])})
		}
	}
	return false
}

// end is told of the address of each next line, until it is another one.
func (f *Functions) end(at uint64) {
	if from := f.Found[f.open[0]].From; at == from {
		return
	} else if at > from {
		for _, i := range f.open {
			f.Found[i].To = at
		}
	}
	f.open = f.open[:0]
}

// Number is that of an address as the file has it, or 0 if it is none.
func Number(digits []byte) (n uint64) {
	for _, d := range digits {
		switch {
		case d >= '0' && d <= '9':
			n = n<<4 | uint64(d-'0')
		case d|0x20 >= 'a' && d|0x20 <= 'f':
			n = n<<4 | uint64(d|0x20-'a'+10)
		default:
			return 0
		}
	}
	return n
}
