// SPDX-License-Identifier: Apache-2.0

package zstd

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
		for ; len(b) >= 32; b = b[32:] {
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
	return uint64(le32(b)) | uint64(le32(b[4:]))<<32
}
