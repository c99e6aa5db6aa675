// SPDX-License-Identifier: Apache-2.0

// Package kallsyms reads the functions of the running kernel from /proc/kallsyms, once for all who ask. The kernel writes
// some 100,000 lines whenever that file is read, a third of a second of a slow board's processor.
//
// /proc/kallsyms is in the order of addresses, modules last (kernel/kallsyms.c, kallsyms_seq_show). A line has an address, a
// letter (t and w are functions) and a name; one of a module has a tab and the module's name after it. What may be hooked, or
// wait, lies before the symbol _etext, so the reading ends there.
package kallsyms

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"sync"

	"safeload/internal/treefile"
)

// Path is where the kernel shows them; /proc has to be mounted.
const Path = "/proc/kallsyms"

// Functions are a kernel's functions, without those of its modules.
type Functions struct {
	chunks [][]byte // of lines, "address name\n"
	count  int
}

var (
	mutex sync.Mutex
	known = make(map[string]*Functions)
)

// Of returns the functions in a file, which is read the first time only. The addresses are 0 where kernel.kptr_restrict hides
// them from this process. The error is that of opening or reading the file: ENOENT without CONFIG_KALLSYMS or without /proc.
func Of(path string) (*Functions, error) {
	mutex.Lock()
	defer mutex.Unlock()
	if f := known[path]; f != nil {
		return f, nil
	}
	file, err := treefile.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	f, err := Read(file)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	known[path] = f
	return f, nil
}

// Forget gives the memory back, some 2 MB: for who goes on for long.
func Forget() {
	mutex.Lock()
	defer mutex.Unlock()
	clear(known)
}

// Read reads what looks like /proc/kallsyms.
func Read(r io.Reader) (*Functions, error) {
	f := &Functions{}
	buffer, kept := make([]byte, 1<<16), 0
	for {
		n, err := r.Read(buffer[kept:])
		have := buffer[:kept+n]
		whole := bytes.LastIndexByte(have, '\n') + 1
		if err == io.EOF {
			whole = len(have)
		}
		if f.take(have[:whole]) {
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

// take keeps what lines have of functions, and reports whether there will be no more.
func (f *Functions) take(lines []byte) (over bool) {
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\n"))
		at := bytes.IndexByte(line, ' ')
		if at < 0 || at+3 >= len(line) || line[at+2] != ' ' {
			continue
		}
		name := line[at+3:]
		if bytes.IndexByte(name, '\t') >= 0 || string(name) == "_etext" {
			return true
		}
		if kind := line[at+1] | 0x20; kind == 't' || kind == 'w' {
			f.add(line[:at+1], name)
		}
	}
	return false
}

func (f *Functions) add(address, name []byte) {
	last := len(f.chunks) - 1
	if last < 0 || cap(f.chunks[last])-len(f.chunks[last]) < len(address)+len(name)+1 {
		// Pieces that do not grow: one that does is copied again and again.
		f.chunks = append(f.chunks, make([]byte, 0, 1<<18))
		last++
	}
	f.chunks[last] = append(append(append(f.chunks[last], address...), name...), '\n')
	f.count++
}

// Len is how many there are.
func (f *Functions) Len() int { return f.count }

// All gives the address, or 0, and the name of each function, in the kernel's order. A name is not to be kept or changed.
func (f *Functions) All() iter.Seq2[uint64, []byte] {
	return func(yield func(uint64, []byte) bool) {
		for _, rest := range f.chunks {
			for len(rest) > 0 {
				var line []byte
				line, rest, _ = bytes.Cut(rest, []byte("\n"))
				digits, name, _ := bytes.Cut(line, []byte(" "))
				if !yield(Number(digits), name) {
					return
				}
			}
		}
	}
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
