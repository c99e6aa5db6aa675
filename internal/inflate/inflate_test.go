// SPDX-License-Identifier: Apache-2.0

package inflate

import (
	"bytes"
	"compress/gzip"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"safeload/internal/kmodtest"
)

// inputs are of all kinds: code, text of few letters, noise, one byte again and again.
func inputs(t testing.TB) map[string][]byte {
	t.Helper()
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	noise, letters, skewed := make([]byte, 70_000), make([]byte, 70_000), make([]byte, 200_000)
	for i := range noise {
		noise[i], letters[i] = byte(r.Uint32()), "ab"[r.IntN(2)]
	}
	for i := range skewed { // codes of up to 15 bits
		for skewed[i] < 40 && r.IntN(2) == 0 {
			skewed[i]++
		}
	}
	return map[string][]byte{"nothing": {}, "one": {7}, "code": exe[:300_000], "noise": noise, "letters": letters, "skewed": skewed,
		"zeroes": make([]byte, 300_000)}
}

func TestDecode(t *testing.T) {
	var d Decoder
	for name, data := range inputs(t) {
		for _, level := range []int{gzip.HuffmanOnly, gzip.NoCompression, 1, 6, 9} {
			src := kmodtest.Gzip(t, data, level)
			size := Size(src)
			if size != int64(len(data)) {
				t.Errorf("%s, level %d: size %d, want %d", name, level, size, len(data))
				continue
			}
			dst := make([]byte, size)
			n, sum, ok := d.Decode(dst, src)
			if !ok || !bytes.Equal(dst[:n], data) || sum != crc32.ChecksumIEEE(data) {
				t.Errorf("%s, level %d: %d bytes, %v", name, level, n, ok)
			}
		}
	}
}

// FuzzDecode compares with compress/gzip: what is taken is the same, and what
// that does not take, this does not.
func FuzzDecode(f *testing.F) {
	for _, data := range inputs(f) {
		data = data[:min(len(data), 3000)]
		f.Add(kmodtest.Gzip(f, data, 9))
		f.Add(kmodtest.Gzip(f, data, gzip.HuffmanOnly))
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, src []byte) {
		size := Size(src)
		if size < 0 || size > 1<<20 {
			return
		}
		dst := make([]byte, size)
		n, sum, ok := d.Decode(dst, src)
		if ok = ok && crc32.ChecksumIEEE(dst[:n]) == sum; !ok {
			return
		}
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return // a name that is no Latin-1, a sum of the header
		}
		want, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(dst[:n], want) {
			t.Errorf("%d bytes, not %d, %v", n, len(want), err)
		}
	})
}

func TestDamage(t *testing.T) {
	var d Decoder
	data := inputs(t)["code"][:20_000]
	src := kmodtest.Gzip(t, data, 9)
	r := rand.New(rand.NewPCG(3, 4))
	dst := make([]byte, len(data))
	for range 3000 {
		b := bytes.Clone(src)
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		b = b[:len(b)-r.IntN(2)*r.IntN(len(b))]
		n, sum, ok := d.Decode(dst, b)
		if ok && crc32.ChecksumIEEE(dst[:n]) == sum && !bytes.Equal(dst[:n], data) {
			t.Fatal("a damaged file was taken")
		}
	}
}
