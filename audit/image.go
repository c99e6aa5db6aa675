// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"safeload/audit/internal/isa"
	"safeload/internal/elfhead"
)

// errNotModule says that a file is ELF, but no module this package can read.
var errNotModule = errors.New("not a relocatable ELF file of a known machine")

// image is one module's ELF file, as far as the study needs it. All of it points
// into the file's bytes and nothing in the file is trusted: a section, symbol or
// relocation that leads outside is left out.
type image struct {
	budget
	arch    *isa.Arch
	machine elf.Machine
	kernel  model // that it is for
	head    elfhead.Header
	order   binary.ByteOrder
	wide    bool // 64-bit
	secs    []section
	syms    []symbol
	this    int // section index of .gnu.linkonce.this_module, or 0
	modinfo []byte
	params  []paramVar
	objects [][]int           // symbols of data by section, by value; made when first needed
	targets map[int32][]int64 // of exception tables, by section
	labels  map[int32][]label // jump labels (static keys) by section, by offset
	lockOps map[int32]lockOp  // by imported symbol
	wraps   map[int]bool      // functions that only acquire or only release; made when first needed
	lasts   map[int]lockState // and what they have done when they return
	// calledBy is, by function, which call it; made when first needed.
	calledBy map[int][]int
}

type section struct {
	name   string
	data   []byte // nil if NOBITS
	size   uint64
	flags  elf.SectionFlag
	relocs []reloc // by offset
	funcs  []int   // symbols of functions, by value
	marks  []mark  // ARM's mapping symbols, by offset
}

func (s *section) code() bool { return s.flags&elf.SHF_EXECINSTR != 0 }

type symbol struct {
	name   string
	value  uint64 // without the bit that marks T32
	size   uint64
	sec    int // 0 if imported
	typ    elf.SymType
	global bool
	thumb  bool
}

type mark struct {
	off  uint64
	kind byte // 'a', 't', 'd'
}

// place is an address inside the module, or an imported symbol.
type place struct {
	sec int32 // 0: imported
	sym int32 // the import, if sec is 0
	off int64
}

const maxSymbols = 1 << 21

// maxSection is far beyond what a module's section can be (one without data may
// say any size), and keeps sums of offsets from running over.
const maxSection = 1 << 40

// maxName is how much of a name is read: KSYM_NAME_LEN of the kernel is 512.
const maxName = 1024

// newImage reads a module's file. It may spend the image's budget and then
// panics: see [budget.bounded].
func newImage(file []byte, b budget) (*image, error) {
	h, ok := elfhead.Read(file)
	t := h.Sections
	if !ok || !h.Known() || elf.Type(h.Type) != elf.ET_REL || t.Each < h.SectionSize() || t.Count == 0 || h.Names >= t.Count {
		return nil, errNotModule
	}
	if t.At > uint64(len(file)) || t.Each*t.Count > uint64(len(file))-t.At {
		return nil, fmt.Errorf("%w: it ends before its section headers", errNotModule)
	}
	headers := make([]elfhead.Section, t.Count)
	for i := range headers {
		headers[i] = h.Section(file[t.At+uint64(i)*t.Each:])
	}
	names := within(file, headers[h.Names])
	im := &image{budget: b, machine: elf.Machine(h.Machine), head: h, order: binary.LittleEndian, wide: h.Wide()}
	if h.Big() {
		im.order = binary.BigEndian
	}
	switch {
	case im.machine == elf.EM_ARM && !im.wide:
		im.arch = isa.ARM
	case im.machine == elf.EM_AARCH64 && im.wide:
		im.arch = isa.ARM64
	case im.machine == elf.EM_X86_64 && im.wide:
		im.arch = isa.AMD64
	}
	if h.Big() {
		im.arch = nil
	}
	im.secs = make([]section, len(headers))
	var symtab, strtab int
	for i, s := range headers {
		sec := &im.secs[i]
		if sec.name, ok = sectionName(names, s); !ok {
			return nil, ErrTooLarge
		}
		sec.size, sec.flags = min(s.Size, maxSection), elf.SectionFlag(s.Flags)
		if elf.SectionType(s.Type) != elf.SHT_NOBITS && sec.flags&elf.SHF_COMPRESSED == 0 {
			sec.data = within(file, s)
		}
		switch {
		case elf.SectionType(s.Type) == elf.SHT_SYMTAB && uint64(s.Link) < t.Count:
			symtab, strtab = i, int(s.Link)
		case sec.name == ".gnu.linkonce.this_module":
			im.this = i
		case sec.name == ".modinfo":
			im.modinfo = sec.data
		}
	}
	if symtab == 0 {
		return nil, fmt.Errorf("%w: no symbols", errNotModule)
	}
	im.readSymbols(im.secs[symtab].data, im.secs[strtab].data)
	for _, s := range headers {
		rela := elf.SectionType(s.Type) == elf.SHT_RELA
		if (rela || elf.SectionType(s.Type) == elf.SHT_REL) && uint64(s.Link) == uint64(symtab) && uint64(s.Info) < t.Count && s.Info != 0 {
			im.readRelocs(&im.secs[s.Info], within(file, s), rela)
		}
	}
	im.readParams()
	im.lockImports()
	return im, nil
}

// within returns what of the file a section is, nil if it leads outside.
func within(file []byte, s elfhead.Section) []byte {
	if s.Offset > uint64(len(file)) || s.Size > uint64(len(file))-s.Offset {
		return nil
	}
	return file[s.Offset : s.Offset+s.Size]
}

// sectionName returns the name of a section; ok is false if it is longer than a
// module's.
func sectionName(names []byte, s elfhead.Section) (name string, ok bool) {
	name = cstring(names, uint64(s.Name))
	return name, name != "" || uint64(s.Name)+maxName > uint64(len(names)) || names[s.Name] == 0
}

func cstring(b []byte, off uint64) string {
	if off >= uint64(len(b)) {
		return ""
	}
	b = b[off:min(off+maxName, uint64(len(b)))]
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return string(b[:i])
	}
	return ""
}

func (im *image) readSymbols(tab, str []byte) {
	size := im.head.SymbolSize()
	n := min(len(tab)/size, maxSymbols)
	im.syms = make([]symbol, n)
	for i := 1; i < n; i++ {
		im.spend(1)
		e := im.head.Symbol(tab[i*size:])
		s := symbol{value: e.Value, size: e.Size, typ: elf.SymType(e.Info & 15), global: e.Info>>4 != 0}
		if sec := int(e.Section); sec < len(im.secs) && (sec == 0 || s.value <= im.secs[sec].size) {
			s.sec = sec
		} else {
			s.typ = elf.STT_FILE // absolute, common, outside: of no use here
		}
		s.size = min(s.size, maxSection)
		if s.typ == elf.STT_FILE {
			s.sec = 0
			im.syms[i] = s
			continue
		}
		s.name = cstring(str, uint64(e.Name))
		if im.machine == elf.EM_ARM && s.sec != 0 {
			if len(s.name) >= 2 && s.name[0] == '$' && (len(s.name) == 2 || s.name[2] == '.') {
				im.secs[s.sec].marks = append(im.secs[s.sec].marks, mark{s.value, s.name[1]})
			}
			if s.typ == elf.STT_FUNC && s.value&1 != 0 {
				s.thumb, s.value = true, s.value&^1
			}
		}
		im.syms[i] = s
		if s.sec != 0 && s.typ == elf.STT_FUNC && im.secs[s.sec].code() {
			im.secs[s.sec].funcs = append(im.secs[s.sec].funcs, i)
		}
	}
	for i := range im.secs {
		s := &im.secs[i]
		sort.SliceStable(s.funcs, func(a, b int) bool { return im.syms[s.funcs[a]].value < im.syms[s.funcs[b]].value })
		sort.SliceStable(s.marks, func(a, b int) bool { return s.marks[a].off < s.marks[b].off })
	}
}

// bytesAt returns what the file holds from a place on.
func (im *image) bytesAt(p place) []byte {
	if p.sec <= 0 || int(p.sec) >= len(im.secs) || p.off < 0 {
		return nil
	}
	d := im.secs[p.sec].data
	if p.off >= int64(len(d)) {
		return nil
	}
	return d[p.off:]
}

// text returns the string at a place, if it is a printable one.
func (im *image) text(p place) (string, bool) {
	b := im.bytesAt(p)
	i := bytes.IndexByte(b[:min(len(b), 513)], 0)
	if i < 0 {
		return "", false
	}
	for _, c := range b[:i] {
		if (c < ' ' || c > '~') && c != '\n' && c != '\t' {
			return "", false
		}
	}
	return string(b[:i]), true
}

// function returns the symbol of the function that begins at or covers a place.
func (im *image) function(p place) (int, bool) {
	if p.sec <= 0 || int(p.sec) >= len(im.secs) {
		return 0, false
	}
	f := im.secs[p.sec].funcs
	i := sort.Search(len(f), func(i int) bool { return int64(im.syms[f[i]].value) > p.off }) - 1
	if i < 0 {
		return 0, false
	}
	for i > 0 && im.syms[f[i-1]].value == im.syms[f[i]].value {
		im.spend(1)
		i-- // the first name of several
	}
	s := &im.syms[f[i]]
	if s.size != 0 && p.off >= int64(s.value+s.size) {
		return 0, false
	}
	return f[i], true
}

// extent gives the code of a function.
func (im *image) extent(sym int) (start, end int64) {
	s := &im.syms[sym]
	start = int64(s.value)
	if s.size != 0 {
		end = start + int64(s.size)
	} else {
		f := im.secs[s.sec].funcs
		end = int64(len(im.secs[s.sec].data))
		if i := sort.Search(len(f), func(i int) bool { return im.syms[f[i]].value > s.value }); i < len(f) {
			end = int64(im.syms[f[i]].value)
		}
	}
	return start, min(end, int64(len(im.secs[s.sec].data)))
}

// object returns the data symbol that covers a place.
func (im *image) object(p place) (start, end int64, ok bool) {
	if p.sec <= 0 || int(p.sec) >= len(im.secs) {
		return 0, 0, false
	}
	if im.objects == nil {
		im.objects = make([][]int, len(im.secs))
		for i := range im.syms {
			if s := &im.syms[i]; s.typ == elf.STT_OBJECT && s.sec != 0 && s.size != 0 {
				im.objects[s.sec] = append(im.objects[s.sec], i)
			}
		}
		for _, o := range im.objects {
			sort.SliceStable(o, func(a, b int) bool { return im.syms[o[a]].value < im.syms[o[b]].value })
		}
	}
	o := im.objects[p.sec]
	i := sort.Search(len(o), func(i int) bool { return int64(im.syms[o[i]].value) > p.off }) - 1
	if i < 0 {
		return 0, 0, false
	}
	for i > 0 && im.syms[o[i-1]].value == im.syms[o[i]].value {
		im.spend(1)
		i--
	}
	s := &im.syms[o[i]]
	start, end = int64(s.value), min(int64(s.value+s.size), int64(im.secs[p.sec].size))
	return start, end, start >= 0 && p.off < end
}

// entries gives the places in [start, end) of a section that code reaches other
// than by its own branches: targets of the exception table.
func (im *image) entries(sec int32, start, end int64) (out []int64) {
	if im.targets == nil {
		im.targets = map[int32][]int64{}
		im.labels = map[int32][]label{}
		for i := range im.secs {
			switch im.secs[i].name {
			case "__jump_table":
				im.jumpLabels(&im.secs[i])
			case "__ex_table":
				for _, r := range im.secs[i].relocs {
					if p := im.resolve(r.sym, r.addend); p.sec != 0 {
						im.targets[p.sec] = append(im.targets[p.sec], p.off)
					}
				}
			}
		}
	}
	im.spend(len(im.targets[sec]))
	for _, t := range im.targets[sec] {
		if t > start && t < end {
			out = append(out, t)
		}
	}
	return out
}

// jumpLabels reads struct jump_entry: the branch, or the nop in its place, where
// it leads, and the key (include/linux/jump_label.h). The first two have 32 bits
// each, the key a word.
func (im *image) jumpLabels(s *section) {
	stride := uint64(8 + im.word())
	for i, r := range s.relocs {
		im.spend(1)
		if r.off%stride != 0 || i+1 >= len(s.relocs) || s.relocs[i+1].off != r.off+4 {
			continue
		}
		t := s.relocs[i+1]
		from, to := im.resolve(r.sym, r.addend), im.resolve(t.sym, t.addend)
		if from.sec != 0 && from.sec == to.sec {
			im.labels[from.sec] = append(im.labels[from.sec], label{from.off, to.off})
		}
	}
	for _, l := range im.labels {
		slices.SortStableFunc(l, func(a, b label) int { return cmp.Compare(a.from, b.from) })
	}
}

// label is a jump label: where the branch is, and where it leads.
type label struct{ from, to int64 }

// labelsIn gives the jump labels in [start, end) of a section.
func (im *image) labelsIn(sec int32, start, end int64) []label {
	at := func(off int64) int {
		l := im.labels[sec]
		return sort.Search(len(l), func(i int) bool { return l[i].from >= off })
	}
	return im.labels[sec][at(start):max(at(start), at(end))]
}

// initFunction finds module_init's function: the relocation at struct module's
// init, which the symbol init_module names too.
func (im *image) initFunction() (int, bool) {
	for i := range im.syms {
		if s := &im.syms[i]; s.sec != 0 && s.name == "init_module" {
			return im.function(place{sec: int32(s.sec), off: int64(s.value)})
		}
	}
	if im.this == 0 {
		return 0, false
	}
	for _, r := range im.secs[im.this].relocs {
		p := im.resolve(r.sym, r.addend)
		if p.sec != 0 && strings.HasPrefix(im.secs[p.sec].name, ".init") {
			return im.function(place{sec: p.sec, off: p.off &^ 1})
		}
	}
	return 0, false
}
