// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"safeload/internal/stdio"
	"safeload/internal/strerror"
)

type symbol struct {
	name  string
	owner *module // nil: the kernel
	crc   uint64
}

// addSymbol adds a symbol, or replaces the one of its name.
func (p *program) addSymbol(name string, skipped bool, crc uint64, owner *module) {
	if !skipped && p.prefix != "" && strings.HasPrefix(name, p.prefix) {
		name = name[1:]
	}
	p.symbols[name] = &symbol{name, owner, crc}
}

func (p *program) findSymbol(name string) *symbol {
	name = strings.TrimPrefix(name, ".") // PowerPC64: .foo is foo
	if p.prefix != "" {
		name = strings.TrimPrefix(name, p.prefix)
	}
	return p.symbols[name]
}

// addFakeSymbols adds what the kernel's loader or linker provides.
func (p *program) addFakeSymbols() {
	p.addSymbol("__this_module", true, 0, nil)
	p.addSymbol("_GLOBAL_OFFSET_TABLE_", true, 0, nil)
	if p.findSymbol("TOC.") == nil {
		p.addSymbol("TOC.", true, 0, nil)
	}
}

// lineSize is the buffer with which kmod reads the kernel's lists.
const lineSize = 10240

// readList reads one of these lists as far as it can be read: kmod takes an error for its end, and so a directory for an
// empty list.
func readList(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, _ := io.ReadAll(f)
	return b, nil
}

// readSymvers reads a Module.symvers: version, symbol, where it is, and more.
func (p *program) readSymvers(path string) error {
	b, err := readList(path)
	if err != nil {
		return err
	}
	for n := 1; len(b) > 0; n++ {
		var line string
		line, b = stdio.Line(b, lineSize)
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) < 3 || words[2] != "vmlinux" {
			continue
		}
		crc, errno := strtoull16(words[0])
		if errno != 0 || crc == nil {
			p.log.err(path, ":", strconv.Itoa(n), " Invalid symbol version ", words[0], ": ", strerror.Text(errno), "\n")
			continue
		}
		p.addSymbol(words[1], false, *crc, nil)
	}
	p.addFakeSymbols()
	return nil
}

// strtoull16 is strtoull(3) with base 16. It returns nil unless all of s is a number.
func strtoull16(s string) (*uint64, syscall.Errno) {
	s = strings.TrimLeft(s, "\n\v\f\r")
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	if len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X") {
		s = s[2:]
	}
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		if e, ok := err.(*strconv.NumError); ok && e.Err == strconv.ErrRange {
			return nil, syscall.ERANGE
		}
		return nil, 0
	}
	if negative {
		n = -n
	}
	return &n, 0
}

// readSystemMap reads a System.map: address, kind, symbol.
func (p *program) readSystemMap(path string) error {
	b, err := readList(path)
	if err != nil {
		return err
	}
	for n := 1; len(b) > 0; n++ {
		var line string
		line, b = stdio.Line(b, lineSize)
		_, rest, ok := strings.Cut(line, " ")
		if ok {
			_, rest, ok = strings.Cut(rest, " ")
		}
		if !ok {
			p.log.err(path, ":", strconv.Itoa(n), ": invalid line: ", line, "\n")
			continue
		}
		if p.prefix != "" {
			rest = strings.TrimPrefix(rest, p.prefix)
		}
		if name, ok := strings.CutPrefix(rest, "__ksymtab_"); ok {
			name, _, _ = strings.Cut(name, "\n")
			p.addSymbol(name, true, 0, nil)
		}
	}
	p.addFakeSymbols()
	return nil
}
