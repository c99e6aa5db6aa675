// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"bytes"
	"strconv"
	"strings"
	"syscall"

	"safeload/internal/stdio"
	"safeload/kmod"
)

// indexes are the files in the order in which kmod writes them. Those of which
// make is nil for standard output are left out there.
var indexes = []struct {
	name   string
	binary bool
	quiet  bool // its making prints nothing, cannot fail and changes nothing
	make   func(*program) ([]byte, error)
}{
	{"modules.dep", false, true, (*program).depText},
	{"modules.dep.bin", true, false, (*program).depBin},
	{"modules.alias", false, true, (*program).aliasText},
	{"modules.alias.bin", true, false, (*program).aliasBin},
	{"modules.softdep", false, true, (*program).softdepText},
	{"modules.weakdep", false, true, (*program).weakdepText},
	{"modules.symbols", false, true, (*program).symbolText},
	{"modules.symbols.bin", true, false, (*program).symbolBin},
	{"modules.builtin.bin", true, false, (*program).builtinBin},
	{"modules.builtin.alias.bin", true, false, (*program).builtinAliasBin},
	{"modules.devname", false, false, (*program).devname},
}

// newTrie returns a trie. With -w it finds duplicates.
func (p *program) newTrie() *trie {
	t := &trie{}
	if p.warnDuplicates {
		t.known = map[[2]string]bool{}
	}
	return t
}

// insert adds to a trie. A key that an index cannot hold ends the program.
func (p *program) insert(t *trie, key, value string, priority int) (duplicate bool) {
	duplicate, bad := t.add(key, value, priority)
	if bad != nil {
		p.log.crit("Module index: bad character '", string([]byte{bad.c}), "'=0x", strconv.FormatUint(uint64(bad.c), 16),
			" - only 7-bit ASCII is supported:\n", bad.text, "\n")
	}
	return duplicate
}

// depLines returns the lines of modules.dep, which are the values of modules.dep.bin.
func (p *program) depLines() []string {
	if p.lines == nil {
		p.lines = make([]string, len(p.modules))
		var b []byte
		var list []*module
		for i, m := range p.modules {
			b = append(append(b[:0], m.rel...), ':')
			list = p.allDeps(m, list)
			for _, d := range list {
				b = append(append(b, ' '), d.rel...)
			}
			p.lines[i] = string(b)
		}
	}
	return p.lines
}

func (p *program) depText() ([]byte, error) {
	var b []byte
	for _, line := range p.depLines() {
		b = append(append(b, line...), '\n')
	}
	return b, nil
}

func (p *program) depBin() ([]byte, error) {
	t := p.newTrie()
	lines := p.depLines()
	for i, m := range p.modules {
		if p.insert(t, m.name, lines[i], m.idx) {
			p.log.warn("duplicate module deps:\n", lines[i], "\n")
		}
	}
	return t.write()
}

func (p *program) aliasText() ([]byte, error) {
	b := []byte("# Aliases extracted from modules themselves.\n")
	for _, m := range p.modules {
		for _, a := range m.aliases {
			b = append(append(append(append(append(b, "alias "...), a...), ' '), m.name...), '\n')
		}
	}
	return b, nil
}

func (p *program) aliasBin() ([]byte, error) {
	t := p.newTrie()
	for _, m := range p.modules {
		for _, a := range m.aliases {
			alias, err := kmod.NormalizeAlias(a)
			if err != nil {
				p.log.warn("Unmatched bracket in ", a, "\n")
				continue
			}
			if p.insert(t, alias, m.name, m.idx) {
				p.log.warn("duplicate module alias:\n", alias, " ", m.name, "\n")
			}
		}
	}
	return t.write()
}

func (p *program) softdepText() ([]byte, error) {
	return p.list("# Soft dependencies extracted from modules themselves.\n", "softdep ",
		func(m *module) []string { return m.softdeps }), nil
}

func (p *program) weakdepText() ([]byte, error) {
	return p.list("# Weak dependencies extracted from modules themselves.\n", "weakdep ",
		func(m *module) []string { return m.weakdeps }), nil
}

func (p *program) list(head, key string, values func(*module) []string) []byte {
	b := []byte(head)
	for _, m := range p.modules {
		for _, v := range values(m) {
			b = append(append(append(append(append(b, key...), m.name...), ' '), v...), '\n')
		}
	}
	return b
}

// ownSymbols returns the modules' symbols in the order of kmod's table.
func (p *program) ownSymbols() []*symbol {
	if p.ordered == nil {
		own := map[string]*symbol{}
		for name, s := range p.symbols {
			if s.owner != nil {
				own[name] = s
			}
		}
		// Never nil, or the texts would order them again, beside the other indexes.
		p.ordered = append([]*symbol{}, hashOrder(own, symbolBuckets)...)
	}
	return p.ordered
}

func (p *program) symbolText() ([]byte, error) {
	b := []byte("# Aliases for symbols, used by symbol_request().\n")
	for _, s := range p.ownSymbols() {
		b = append(append(append(append(append(b, "alias symbol:"...), s.name...), ' '), s.owner.name...), '\n')
	}
	return b, nil
}

func (p *program) symbolBin() ([]byte, error) {
	t := p.newTrie()
	for _, s := range p.ownSymbols() {
		if p.insert(t, "symbol:"+s.name, s.owner.name, s.owner.idx) {
			p.log.warn("duplicate module syms:\nsymbol:", s.name, " ", s.owner.name, "\n")
		}
	}
	return t.write()
}

func (p *program) builtinBin() ([]byte, error) {
	b, ok, _ := p.treeFile("modules.builtin")
	if !ok {
		return nil, nil // an empty file, as kmod's
	}
	t := p.newTrie()
	name := ""
	for len(b) > 0 {
		var line string
		line, b = stdio.Line(b, pathMax)
		if line == "" || !isAlpha(line[0]) {
			p.log.err("Invalid modules.builtin line: ", line, "\n")
			continue
		}
		if base := line[strings.LastIndexByte(line, '/')+1:]; base != "" {
			name = kmod.NormalizeName(base)
		}
		p.insert(t, name, "", 0)
	}
	return t.write()
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// builtinAliasBin reads modules.builtin.modinfo, NAME.KEY=VALUE with a NUL
// behind each, as kmod does character by character.
func (p *program) builtinAliasBin() ([]byte, error) {
	b, ok, unread := p.treeFile("modules.builtin.modinfo")
	if !ok {
		return nil, nil
	}
	if unread != nil {
		return nil, syscall.EINVAL
	}
	t := p.newTrie()
	// until returns what comes before end, or nothing if a NUL or the end of the
	// file comes first.
	until := func(end byte) string {
		n := 0
		for n < len(b) && b[n] != end && b[n] != 0 && n < pathMax {
			n++
		}
		part := string(b[:n])
		found := n < len(b) && b[n] == end
		b = b[min(n+1, len(b)):]
		if n == pathMax {
			p.log.warn("Could not flush stream: 28. Partial content: ", part, "\n")
			part = part[:n-1]
		}
		if !found {
			return ""
		}
		return part
	}
	for len(b) > 0 {
		name := until('.')
		if name == "" {
			continue
		}
		if until('=') != "alias" {
			i := bytes.IndexByte(b, 0)
			if i < 0 {
				break
			}
			b = b[i+1:]
			continue
		}
		value := until(0)
		if value == "" {
			continue
		}
		alias, err := kmod.NormalizeAlias(value)
		if err != nil {
			p.log.warn("Unmatched bracket in ", value, "\n")
			continue
		}
		p.insert(t, alias, name, 0)
	}
	return t.write()
}

func (p *program) devname() ([]byte, error) {
	var b []byte
	for _, m := range p.modules {
		name, kind, found := "", byte(0), false
		var major, minor uint32
		for _, a := range m.aliases {
			if n, ok := strings.CutPrefix(a, "devname:"); ok {
				name, found = n, true
			} else if x, y, ok := numbers(a, "char-major-"); ok {
				kind, major, minor = 'c', x, y
			} else if x, y, ok := numbers(a, "block-major-"); ok {
				kind, major, minor = 'b', x, y
			}
			if kind != 0 && found {
				break
			}
		}
		if !found {
			continue
		}
		if kind == 0 {
			p.log.err("Module '", m.name, "' has devname (", name, ") but lacks major and minor information. Ignoring.\n")
			continue
		}
		if b == nil {
			b = []byte("# Device nodes to trigger on-demand module loading.\n")
		}
		b = append(b, m.name+" "+name+" "+string(kind)...)
		b = strconv.AppendUint(b, uint64(major), 10)
		b = append(strconv.AppendUint(append(b, ':'), uint64(minor), 10), '\n')
	}
	return b, nil
}

// numbers is sscanf(3) of prefix and "%u-%u".
func numbers(s, prefix string) (x, y uint32, ok bool) {
	s, ok = strings.CutPrefix(s, prefix)
	if !ok {
		return 0, 0, false
	}
	if x, s, ok = stdio.Unsigned(s); !ok || !strings.HasPrefix(s, "-") {
		return 0, 0, false
	}
	y, _, ok = stdio.Unsigned(s[1:])
	return x, y, ok
}
