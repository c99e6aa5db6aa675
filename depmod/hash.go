// SPDX-License-Identifier: Apache-2.0

package depmod

import (
	"cmp"
	"slices"
	"strings"
)

// Sizes of kmod's hash tables, by which their contents are ordered.
const (
	moduleBuckets = 512
	symbolBuckets = 2048
)

// superfast is Paul Hsieh's hash function, which kmod's tables use
// (shared/hash.c), on a little-endian machine with signed characters.
func superfast(key string) uint32 {
	hash := uint32(len(key))
	word := func(i int) uint32 { return uint32(key[i]) | uint32(key[i+1])<<8 }
	i := 0
	for ; i+4 <= len(key); i += 4 {
		hash += word(i)
		hash = hash<<16 ^ word(i+2)<<11 ^ hash
		hash += hash >> 11
	}
	switch len(key) - i {
	case 3:
		hash += word(i)
		hash ^= hash << 16
		hash ^= uint32(key[i+2]) << 18
		hash += hash >> 11
	case 2:
		hash += word(i)
		hash ^= hash << 11
		hash += hash >> 17
	case 1:
		hash += uint32(int32(int8(key[i])))
		hash ^= hash << 10
		hash += hash >> 1
	}
	hash ^= hash << 3
	hash += hash >> 5
	hash ^= hash << 4
	hash += hash >> 17
	hash ^= hash << 25
	hash += hash >> 6
	return hash
}

// hashOrder lists the values of m as a walk over kmod's table would: by bucket,
// and by name in each.
func hashOrder[V any](m map[string]V, buckets uint32) []V {
	type entry struct {
		bucket uint32
		name   string
		value  V
	}
	list := make([]entry, 0, len(m))
	for name, v := range m {
		list = append(list, entry{superfast(name) & (buckets - 1), name, v})
	}
	slices.SortFunc(list, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), strings.Compare(a.name, b.name))
	})
	out := make([]V, len(list))
	for i, e := range list {
		out[i] = e.value
	}
	return out
}
