// SPDX-License-Identifier: Apache-2.0

package xz

// The filters that make the addresses of branches absolute, so that they
// compress better (liblzma's src/liblzma/simple), and delta.
const (
	idX86      = 4
	idPowerPC  = 5
	idIA64     = 6
	idARM      = 7
	idARMThumb = 8
	idSPARC    = 9
	idARM64    = 10
)

// parameter reads a filter's properties: how far back delta looks, or where a
// branch filter's first instruction is. ok is false if the filter is not known.
func parameter(id uint64, p []byte) (value uint32, ok bool) {
	step := uint32(0)
	switch id {
	case idDelta:
		if len(p) != 1 {
			return 0, false
		}
		return uint32(p[0]) + 1, true
	case idX86:
		step = 1
	case idARMThumb:
		step = 2
	case idPowerPC, idARM, idSPARC, idARM64:
		step = 4
	case idIA64:
		step = 16
	default:
		return 0, false
	}
	switch len(p) {
	case 0:
		return 0, true
	case 4:
		value = le32(p)
		return value, value&(step-1) == 0
	}
	return 0, false
}

// unfilter undoes the filters of a block, the last one first.
func unfilter(b []byte, filters []filter) {
	for i := len(filters) - 1; i >= 0; i-- {
		f := filters[i]
		if f.id == idDelta {
			for i := int(f.value); i < len(b); i++ {
				b[i] += b[i-int(f.value)]
			}
			continue
		}
		switch f.id {
		case idX86:
			x86(b, f.value)
		case idPowerPC:
			powerPC(b, f.value)
		case idIA64:
			ia64(b, f.value)
		case idARM:
			arm(b, f.value)
		case idARMThumb:
			armThumb(b, f.value)
		case idSPARC:
			sparc(b, f.value)
		case idARM64:
			arm64(b, f.value)
		}
	}
}

func put32(b []byte, v uint32) {
	_ = b[3]
	b[0], b[1], b[2], b[3] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

func be32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[3]) | uint32(b[2])<<8 | uint32(b[1])<<16 | uint32(b[0])<<24
}

func putBE32(b []byte, v uint32) {
	_ = b[3]
	b[3], b[2], b[1], b[0] = byte(v), byte(v>>8), byte(v>>16), byte(v>>24)
}

func arm(b []byte, pc uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		if b[i+3] != 0xeb { // BL
			continue
		}
		v := le32(b[i:])
		put32(b[i:], v&0xff000000|(v-(pc+uint32(i)+8)>>2)&0xffffff)
	}
}

func armThumb(b []byte, pc uint32) {
	for i := 0; i+4 <= len(b); i += 2 {
		if b[i+1]&0xf8 != 0xf0 || b[i+3]&0xf8 != 0xf8 {
			continue
		}
		v := uint32(b[i+1]&7)<<19 | uint32(b[i])<<11 | uint32(b[i+3]&7)<<8 | uint32(b[i+2])
		v = (v<<1 - (pc + uint32(i) + 4)) >> 1
		b[i+1] = 0xf0 | byte(v>>19)&7
		b[i] = byte(v >> 11)
		b[i+3] = 0xf8 | byte(v>>8)&7
		b[i+2] = byte(v)
		i += 2
	}
}

func arm64(b []byte, pc uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		at, v := pc+uint32(i), le32(b[i:])
		switch {
		case v>>26 == 0x25: // BL
			put32(b[i:], 0x94000000|(v-at>>2)&0x03ffffff)
		case v&0x9f000000 == 0x90000000: // ADRP
			src := v>>29&3 | v>>3&0x1ffffc
			if (src+0x020000)&0x1c0000 != 0 {
				continue
			}
			to := src - at>>12
			put32(b[i:], v&0x9000001f|to&3<<29|to&0x3fffc<<3|-(to&0x20000)&0xe00000)
		}
	}
}

func powerPC(b []byte, pc uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		v := be32(b[i:])
		if v&0xfc000003 == 0x48000001 {
			putBE32(b[i:], 0x48000001|(v-(pc+uint32(i)))&0x03fffffc)
		}
	}
}

func sparc(b []byte, pc uint32) {
	for i := 0; i+4 <= len(b); i += 4 {
		v := be32(b[i:])
		if v>>22 != 0x100 && v>>22 != 0x1ff {
			continue
		}
		v = (v<<2 - (pc + uint32(i))) >> 2
		putBE32(b[i:], (0-v>>22&1)<<22&0x3fffffff|v&0x3fffff|0x40000000)
	}
}

// ia64 has bundles of three instructions in 16 bytes; the first five bits tell
// which of them can be branches.
func ia64(b []byte, pc uint32) {
	masks := [32]byte{16: 4, 17: 4, 18: 6, 19: 6, 22: 7, 23: 7, 24: 4, 25: 4, 28: 4, 29: 4}
	for i := 0; i+16 <= len(b); i += 16 {
		mask := masks[b[i]&31]
		for slot := range 3 {
			if mask>>slot&1 == 0 {
				continue
			}
			bit := 5 + 41*slot
			at, shift := i+bit>>3, uint(bit&7)
			v := uint64(0)
			for j := range 6 {
				v |= uint64(b[at+j]) << (8 * j)
			}
			op := v >> shift
			if op>>37&0xf != 5 || op>>9&7 != 0 {
				continue
			}
			to := uint32(op>>13)&0xfffff | uint32(op>>36)&1<<20
			to = (to<<4 - (pc + uint32(i))) >> 4
			op &^= 0x8fffff << 13
			op |= uint64(to&0xfffff)<<13 | uint64(to&0x100000)<<(36-20)
			v = v&(1<<shift-1) | op<<shift
			for j := range 6 {
				b[at+j] = byte(v >> (8 * j))
			}
		}
	}
}

// x86 follows liblzma's x86_code: which of the bytes before look like opcodes,
// too, decides whether one is taken for that of a call.
func x86(b []byte, pc uint32) {
	const allowed, numbers = 0x17, 0x33332210 // by what came before: may it be one, and which byte decides
	mask, before := uint32(0), -5
	for i := 0; i+5 <= len(b); {
		if b[i]&0xfe != 0xe8 {
			i++
			continue
		}
		if i-before > 5 {
			mask = 0
		} else {
			for range i - before {
				mask = mask & 0x77 << 1
			}
		}
		before = i
		x := b[i+4]
		switch {
		case x != 0 && x != 0xff:
			mask |= 1
			i++
			continue
		case mask>>1 >= 0x10 || allowed>>(mask>>1&7)&1 == 0:
			mask |= 0x11
			i++
			continue
		}
		shift := numbers >> (4 * (mask >> 1 & 7)) & 3 * 8
		src := le32(b[i+1:])
		to := src - (pc + uint32(i) + 5)
		for mask != 0 {
			if x := byte(to >> (24 - shift)); x != 0 && x != 0xff {
				break
			}
			src = to ^ (1<<(32-shift) - 1)
			to = src - (pc + uint32(i) + 5)
		}
		put32(b[i+1:], to&0x01ffffff|-(to>>24&1)&0xff000000)
		i += 5
		mask = 0
	}
}
