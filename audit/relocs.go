// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"debug/elf"
	"sort"
)

type reloc struct {
	off    uint64
	sym    int32
	typ    uint32
	addend int64
}

func (im *image) readRelocs(to *section, tab []byte, rela bool) {
	size := 8
	if im.wide {
		size = 16
	}
	if rela {
		size += size / 2
	}
	n := len(tab) / size
	im.spend(4 * n)
	if to.relocs == nil {
		to.relocs = make([]reloc, 0, n)
	}
	for i := 0; i < n; i++ {
		e := tab[i*size:]
		var r reloc
		if im.wide {
			info := im.order.Uint64(e[8:])
			r.off, r.sym, r.typ = im.order.Uint64(e), int32(info>>32), uint32(info)
			if rela {
				r.addend = int64(im.order.Uint64(e[16:]))
			}
		} else {
			info := im.order.Uint32(e[4:])
			r.off, r.sym, r.typ = uint64(im.order.Uint32(e)), int32(info>>8), info&255
			if rela {
				r.addend = int64(int32(im.order.Uint32(e[8:])))
			}
		}
		if r.sym <= 0 || int(r.sym) >= len(im.syms) || r.off >= to.size {
			continue
		}
		if !rela {
			r.addend = im.inPlace(to.data, r)
		}
		to.relocs = append(to.relocs, r)
	}
	if !sort.SliceIsSorted(to.relocs, func(a, b int) bool { return to.relocs[a].off < to.relocs[b].off }) {
		sort.SliceStable(to.relocs, func(a, b int) bool { return to.relocs[a].off < to.relocs[b].off })
	}
}

// inPlace reads the addend that a REL relocation keeps where it applies. Only
// ARM's modules are of this kind ("ELF for the Arm Architecture", IHI 0044).
func (im *image) inPlace(data []byte, r reloc) int64 {
	if r.off+4 > uint64(len(data)) {
		return 0
	}
	if im.machine != elf.EM_ARM {
		return int64(int32(im.order.Uint32(data[r.off:])))
	}
	switch elf.R_ARM(r.typ) {
	case elf.R_ARM_ABS32, elf.R_ARM_REL32, elf.R_ARM_TARGET1:
		return int64(int32(im.order.Uint32(data[r.off:])))
	case elf.R_ARM_MOVW_ABS_NC, elf.R_ARM_MOVT_ABS:
		v := im.order.Uint32(data[r.off:])
		return int64(int16(v>>4&0xf000 | v&0xfff))
	case elf.R_ARM_THM_MOVW_ABS_NC, elf.R_ARM_THM_MOVT_ABS:
		h, l := uint32(im.order.Uint16(data[r.off:])), uint32(im.order.Uint16(data[r.off+2:]))
		return int64(int16(h&15<<12 | h>>10&1<<11 | l>>12&7<<8 | l&0xff))
	}
	return 0
}

// resolve gives the place that a symbol and an addend stand for.
func (im *image) resolve(sym int32, addend int64) place {
	s := &im.syms[sym]
	if s.sec == 0 {
		return place{sym: sym, off: addend}
	}
	return place{sec: int32(s.sec), off: int64(s.value) + addend}
}

// relocAt returns the relocation in [off, off+n) of a section.
func (s *section) relocAt(off, n int64) (reloc, bool) {
	i := sort.Search(len(s.relocs), func(i int) bool { return int64(s.relocs[i].off) >= off })
	if i < len(s.relocs) && int64(s.relocs[i].off) < off+n {
		return s.relocs[i], true
	}
	return reloc{}, false
}

// word is the size of a pointer.
func (im *image) word() int64 {
	if im.wide {
		return 8
	}
	return 4
}

// pointer returns where the pointer stored at a place leads to.
func (im *image) pointer(sec int32, off int64) (place, bool) {
	if sec <= 0 || int(sec) >= len(im.secs) || off < 0 {
		return place{}, false
	}
	r, ok := im.secs[sec].relocAt(off, 1)
	if !ok || !im.absolute(r.typ) {
		return place{}, false
	}
	p := im.resolve(r.sym, r.addend)
	if im.machine == elf.EM_ARM && p.sec != 0 && im.secs[p.sec].code() {
		p.off &^= 1
	}
	return p, true
}

func (im *image) absolute(typ uint32) bool {
	switch im.machine {
	case elf.EM_ARM:
		return elf.R_ARM(typ) == elf.R_ARM_ABS32 || elf.R_ARM(typ) == elf.R_ARM_TARGET1
	case elf.EM_AARCH64:
		return elf.R_AARCH64(typ) == elf.R_AARCH64_ABS64
	case elf.EM_X86_64:
		return elf.R_X86_64(typ) == elf.R_X86_64_64
	}
	return false
}

func (im *image) isBranch(typ uint32) bool {
	switch im.machine {
	case elf.EM_ARM:
		switch elf.R_ARM(typ) {
		case elf.R_ARM_CALL, elf.R_ARM_JUMP24, elf.R_ARM_PC24, elf.R_ARM_THM_PC22, elf.R_ARM_THM_JUMP24, elf.R_ARM_THM_JUMP19:
			return true
		}
	case elf.EM_AARCH64:
		t := elf.R_AARCH64(typ)
		return t == elf.R_AARCH64_CALL26 || t == elf.R_AARCH64_JUMP26 || t == elf.R_AARCH64_CONDBR19
	case elf.EM_X86_64:
		return elf.R_X86_64(typ) == elf.R_X86_64_PLT32
	}
	return false
}

func (im *image) branchAddend(r reloc) int64 {
	if im.machine == elf.EM_X86_64 {
		return r.addend + 4
	}
	return r.addend
}
