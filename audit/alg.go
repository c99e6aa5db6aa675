// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"strings"
)

// Flags and types of algorithms (include/linux/crypto.h), the same from 5.9 to
// 6.12 at least.
const (
	algTypeMask     = 0xf
	algAsync        = 0x80
	algNeedFallback = 0x100
	algInternal     = 0x2000
	algAllocates    = 0x10000
	algInherited    = algAsync | algNeedFallback | algAllocates

	typeCipher    = 0x1
	typeAEAD      = 0x3
	typeLSKCipher = 0x4
	typeSKCipher  = 0x5
	typeAkcipher  = 0x6
	typeShash     = 0xe
	typeAhash     = 0xf

	// maxAlgName is CRYPTO_MAX_ALG_NAME, the size of cra_name.
	maxAlgName = 128
)

// alg is an algorithm that a module registers.
type alg struct {
	name, driver string
	flags        uint32
	typ          uint32 // as far as the registering function tells
	how          how
	route        []string
	// events are what its functions can call: its self-test calls all of them
	// (crypto/testmgr.c), and so does whoever uses it.
	events []event
}

// algName reports whether b begins with a name in a zeroed array of cra_name's
// size.
func algName(b []byte) (string, bool) {
	if len(b) < maxAlgName {
		return "", false
	}
	n := bytes.IndexByte(b[:maxAlgName], 0)
	if n < 2 {
		return "", false
	}
	for _, c := range b[:n] {
		if c <= ' ' || c > '~' || c == '"' || c == '%' || c == '/' {
			return "", false
		}
	}
	for _, c := range b[n:maxAlgName] {
		if c != 0 {
			return "", false
		}
	}
	return string(b[:n]), true
}

// algorithms finds the struct crypto_alg in the object at p: cra_name and
// cra_driver_name are two arrays of 128 bytes side by side, and before them lie
//
//	list_head cra_list, cra_users; u32 cra_flags, cra_blocksize, cra_ctxsize,
//	[cra_reqsize, 6.16 and later,] cra_alignmask; int cra_priority; refcount_t cra_refcnt
//
// (include/linux/crypto.h). Functions of the same array element belong to it.
func (x *explorer) algorithms(p place, typ uint32, keep func(string) bool) []alg {
	im := x.im
	start, end, ok := im.object(p)
	if !ok {
		return nil
	}
	data := im.secs[p.sec].data
	if end > int64(len(data)) || start < 0 {
		return nil
	}
	head := 4*im.word() + 24
	var at []int64
	for off := start + head; off+2*maxAlgName <= end; off += 4 {
		im.spend(1)
		if _, ok := algName(data[off:end]); !ok {
			continue
		}
		if _, ok := algName(data[off+maxAlgName : end]); !ok {
			continue
		}
		at = append(at, off)
		off += 2*maxAlgName - 4
	}
	var algs []alg
	for i, off := range at {
		// The element: from the one before to the one after, by their stride.
		stride := end - start
		if len(at) > 1 {
			stride = at[1] - at[0]
			if i > 0 {
				stride = off - at[i-1]
			}
		}
		first := start
		if n := (off - start) / stride; n > 0 && n < 1<<16 {
			first = start + n*stride
		}
		a := alg{typ: typ}
		a.name, _ = algName(data[off:])
		a.driver, _ = algName(data[off+maxAlgName:])
		a.flags = algFlags(im, data, off)
		if typ == 0 {
			a.typ = a.flags & algTypeMask
		}
		last := min(first+stride, end)
		im.spend(len(im.secs[p.sec].relocs))
		for _, r := range im.secs[p.sec].relocs {
			if int64(r.off) < first || int64(r.off) >= last {
				continue
			}
			q, ok := im.pointer(p.sec, int64(r.off))
			if !ok || q.sec == 0 || !im.secs[q.sec].code() {
				continue
			}
			if f, ok := im.function(q); ok {
				var args [maxArgs]value
				args[0] = value{kind: derived}
				a.events = append(a.events, x.from(f, args, 0, keep)...)
			}
		}
		algs = append(algs, a)
	}
	return algs
}

// algFlags reads cra_flags of the algorithm whose cra_name is at off. One more
// word lies between them since 6.16: then what would be cra_flags is
// cra_blocksize, and before it is something like flags.
func algFlags(im *image, data []byte, off int64) uint32 {
	read := func(o int64) uint32 {
		if o < 0 || o+4 > int64(len(data)) {
			return 0
		}
		return im.order.Uint32(data[o:])
	}
	flags, block := read(off-24), read(off-20)
	if older := read(off - 28); older&^uint32(0x3ffff) == 0 && flags > 0 && flags <= 256 && block != 0 && older != 0 {
		return older
	}
	return flags
}

// registration tells the type of algorithm that an exported function registers,
// and whether it is one.
func registration(symbol string) (typ uint32, ok bool) {
	s, ok := strings.CutPrefix(symbol, "crypto_register_")
	if !ok {
		s, ok = strings.CutPrefix(symbol, "simd_register_")
		s = strings.TrimSuffix(s, "_compat")
	}
	if !ok {
		s, ok = strings.CutPrefix(symbol, "crypto_engine_register_")
	}
	if !ok {
		return 0, false
	}
	switch strings.TrimSuffix(s, "s") {
	case "alg":
		return 0, true
	case "skcipher":
		return typeSKCipher, true
	case "lskcipher":
		return typeLSKCipher, true
	case "aead":
		return typeAEAD, true
	case "shashe", "shash":
		return typeShash, true
	case "ahashe", "ahash":
		return typeAhash, true
	case "akcipher":
		return typeAkcipher, true
	case "sig":
		return 7, true
	case "kpp":
		return 8, true
	case "acomp", "acomps":
		return 0xa, true
	case "scomp", "scomps":
		return 0xb, true
	case "rng":
		return 0xc, true
	}
	return 0, false
}
