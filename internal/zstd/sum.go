// SPDX-License-Identifier: Apache-2.0

package zstd

import "unsafe"

const (
	prime1 = 0x9e3779b185ebca87
	prime2 = 0xc2b2ae3d27d4eb4f
	prime3 = 0x165667b19e3779f9
	prime4 = 0x85ebca77c2b2ae63
	prime5 = 0x27d4eb2f165667c5
)

// sum is XXH64 of b, with the seed 0.
func sum(b []byte) uint64 {
	size := uint64(len(b))
	h := uint64(prime5)
	if len(b) >= 32 {
		p1, p2 := uint64(prime1), uint64(prime2)
		v1, v2, v3, v4 := p1+p2, p2, uint64(0), -p1
		aligned := uintptr(unsafe.Pointer(unsafe.SliceData(b)))&3 == 0
		for ; len(b) >= 32; b = b[32:] {
			if word == 32 && aligned {
				// A quarter of the time goes for bytes that are put together.
				x := (*[8]uint32)(unsafe.Pointer(unsafe.SliceData(b)))
				v1 = round(v1, uint64(x[0])|uint64(x[1])<<32)
				v2 = round(v2, uint64(x[2])|uint64(x[3])<<32)
				v3 = round(v3, uint64(x[4])|uint64(x[5])<<32)
				v4 = round(v4, uint64(x[6])|uint64(x[7])<<32)
				continue
			}
			v1 = round(v1, le64(b))
			v2 = round(v2, le64(b[8:]))
			v3 = round(v3, le64(b[16:]))
			v4 = round(v4, le64(b[24:]))
		}
		h = rotate(v1, 1) + rotate(v2, 7) + rotate(v3, 12) + rotate(v4, 18)
		h = (h^round(0, v1))*prime1 + prime4
		h = (h^round(0, v2))*prime1 + prime4
		h = (h^round(0, v3))*prime1 + prime4
		h = (h^round(0, v4))*prime1 + prime4
	}
	h += size
	for ; len(b) >= 8; b = b[8:] {
		h = rotate(h^round(0, le64(b)), 27)*prime1 + prime4
	}
	if len(b) >= 4 {
		h = rotate(h^uint64(le32(b))*prime1, 23)*prime2 + prime3
		b = b[4:]
	}
	for _, x := range b {
		h = rotate(h^uint64(x)*prime5, 11) * prime1
	}
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}

func round(v, x uint64) uint64 { return rotate(v+x*prime2, 31) * prime1 }

func rotate(v uint64, n uint) uint64 { return v<<n | v>>(64-n) }

func le64(b []byte) uint64 {
	_ = b[7]
	if word == 64 {
		return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
			uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
	}
	return uint64(le32(b)) | uint64(le32(b[4:]))<<32
}
