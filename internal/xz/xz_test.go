// SPDX-License-Identifier: Apache-2.0

package xz

import (
	"bytes"
	"errors"
	"fmt"
	crc32ieee "hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	other "github.com/mikelolasagasti/xz"

	"safeload/internal/kmodtest"
)

// unpack decompresses all of src, in both ways.
func unpack(t testing.TB, src []byte) ([]byte, Result) {
	t.Helper()
	size := Size(src)
	if size > 64<<20 {
		return nil, Room
	}
	dst := make([]byte, size)
	n, r := new(Decoder).Decode(dst, src)
	m, left, r2 := new(Decoder).DecodeSum(dst, src)
	if left.Is && crc32ieee.ChecksumIEEE(dst[:left.Size]) != left.CRC {
		r2 = Data
	}
	if r2 != r || r == OK && n != m {
		t.Errorf("%d bytes, result %d; with a sum that is left %d bytes, result %d", n, r, m, r2)
	}
	return dst[:n], r
}

func pack(t testing.TB, data []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("xz", append([]string{"-c", "-T1"}, args...)...)
	cmd.Stdin = bytes.NewReader(data)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mixed(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, n)
	for len(b) < n {
		switch r.IntN(4) {
		case 0:
			for range r.IntN(1000) {
				b = append(b, byte(r.Uint32()))
			}
		case 1:
			b = append(b, bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(1000))...)
		case 2:
			b = append(b, []byte("the quick brown fox")[:r.IntN(20)]...)
		default:
			if from := r.IntN(len(b) + 1); from < len(b) {
				b = append(b, b[from:min(len(b), from+r.IntN(400))]...)
			}
		}
	}
	return b[:n]
}

// What xz(1) makes, of each option that a decoder can see.
func TestXZ(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Fatal("this needs xz")
	}
	code := kmodtest.Code(t)
	random := make([]byte, 70_000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	ways := [][]string{{"-6"}, {"-0"}, {"-4e"}, {"-C", "none"}, {"-C", "crc32"}, {"-C", "crc64"}, {"-C", "sha256"},
		{"--block-size=10000"}, {"--block-size=100000", "-T2"}}
	for _, f := range []string{"x86", "arm", "armthumb", "arm64", "powerpc", "sparc", "ia64", "delta=dist=1", "delta=dist=4", "delta=dist=256"} {
		ways = append(ways, []string{"--" + f, "--lzma2"})
	}
	ways = append(ways, []string{"--x86=start=4096", "--delta", "--arm", "--lzma2"})
	for _, p := range []string{"lc=0,lp=0,pb=0", "lc=4,lp=0,pb=4", "lc=0,lp=4,pb=2", "lc=2,lp=2,pb=1", "dict=4096", "dict=5000,nice=273", "mode=fast,mf=hc3,nice=2", "dict=100MiB,mode=fast,mf=hc3"} {
		ways = append(ways, []string{"--lzma2=preset=1," + p})
	}
	for name, data := range map[string][]byte{"nothing": nil, "one": {1}, "code": code, "mixed": mixed(100_000), "random": random,
		"zeroes": make([]byte, 3<<20), "mostly": append(mixed(100_000), random...)} {
		for i, way := range ways {
			if i > 0 && name != "code" && name != "mixed" {
				continue // nothing else to see
			}
			packed := pack(t, data, way...)
			got, r := unpack(t, packed)
			if r != OK || !bytes.Equal(got, data) {
				at := 0
				for at < min(len(got), len(data)) && got[at] == data[at] {
					at++
				}
				t.Errorf("%s %v: result %d, %d of %d bytes, other from %d on", name, way, r, len(got), len(data), at)
			}
		}
	}
}

// Several streams one after the other, with zeroes between, are one file.
func TestStreams(t *testing.T) {
	a, b := pack(t, []byte("first "), "-C", "crc32"), pack(t, []byte("second"), "-C", "crc64")
	for zeroes, want := range map[int]Result{0: OK, 4: OK, 8: OK, 3: Data} {
		src := append(append(bytes.Clone(a), make([]byte, zeroes)...), b...)
		if got, r := unpack(t, src); r != want || r == OK && string(got) != "first second" {
			t.Errorf("%d zeroes between: %q, %d", zeroes, got, r)
		}
		src = append(bytes.Clone(a), make([]byte, zeroes)...)
		if got, r := unpack(t, src); r != want || r == OK && string(got) != "first " {
			t.Errorf("%d zeroes behind: %q, %d", zeroes, got, r)
		}
	}
	// liblzma looks at a header when it has all of it.
	for n, want := range map[int]Result{1: End, headerSize - 1: End, headerSize: Data} {
		if _, r := unpack(t, append(bytes.Clone(a), bytes.Repeat([]byte("x"), n)...)); r != want {
			t.Errorf("%d bytes behind: %d, want %d", n, r, want)
		}
	}
}

// Each byte of a file counts, and so does each that is missing.
func TestDamage(t *testing.T) {
	data := mixed(3000)
	for _, way := range [][]string{{"-C", "crc32"}, {"-C", "crc64"}, {"-C", "sha256"}, {"--block-size=1000"}} {
		packed := pack(t, data, way...)
		for i := range packed {
			if got, r := unpack(t, packed[:i]); r != End {
				t.Errorf("%v: of %d bytes the first %d: %d, %d bytes", way, len(packed), i, r, len(got))
			}
			bad := bytes.Clone(packed)
			bad[i] ^= 1 << (i % 8)
			if _, r := unpack(t, bad); r == OK || r == Room {
				t.Errorf("%v: byte %d of %d is damaged: %d", way, i, len(packed), r)
			}
		}
	}
	if n, r := new(Decoder).Decode(make([]byte, len(data)-1), pack(t, data)); r != Room {
		t.Errorf("too little room: %d, %d", n, r)
	}
}

// liblzma, as xz(1) tells, and this package find the same of damaged files.
func TestAsLiblzma(t *testing.T) {
	data := mixed(2000)
	words := map[Result]string{Format: "File format not recognized", Options: "Unsupported options", Data: "Compressed data is corrupt",
		End: "Unexpected end of input"}
	packed := pack(t, data, "-C", "crc32", "--x86", "--lzma2", "--block-size=1500")
	r := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		bad := bytes.Clone(packed)
		if i := r.IntN(len(bad)); r.IntN(3) == 0 {
			bad = bad[:i]
		} else {
			bad[r.IntN(len(bad))] ^= byte(1 + r.IntN(255))
		}
		cmd := exec.Command("xz", "-dc")
		cmd.Stdin = bytes.NewReader(bad)
		var said bytes.Buffer
		cmd.Stderr = &said
		want, err := cmd.Output()
		got, r := unpack(t, bad)
		if (err == nil) != (r == OK) || r == OK && !bytes.Equal(got, want) || !bytes.Contains(said.Bytes(), []byte(words[r])) {
			t.Errorf("%x: %d; xz: %s", bad, r, said.Bytes())
		}
	}
}

func otherSays(src []byte) ([]byte, error) {
	d, err := other.NewReader(bytes.NewReader(src), 64<<20)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(d, 64<<20))
}

// Another decoder makes the same of the same.
func FuzzDecode(f *testing.F) {
	data := mixed(3000)
	for _, way := range [][]string{{"-C", "crc32"}, {"-C", "none", "--x86", "--lzma2"}, {"-C", "crc64", "--arm", "--delta", "--lzma2"}, {"-C", "sha256", "--block-size=1000"}} {
		f.Add(pack(f, data, way...))
	}
	f.Add(pack(f, nil))
	f.Fuzz(func(t *testing.T, src []byte) {
		if Size(src) > 32<<20 {
			return
		}
		got, r := unpack(t, src)
		want, err := otherSays(src)
		switch {
		case r == OK && (err == nil && !bytes.Equal(got, want)):
			t.Errorf("%d bytes of %d, or others", len(got), len(want))
		case r == OK && err != nil && !errors.Is(err, other.ErrUnsupportedCheck) && !errors.Is(err, other.ErrMemlimit) && !errors.Is(err, other.ErrOptions):
			t.Errorf("%d bytes; another: %v", len(got), err)
		case r != OK && err == nil:
			t.Errorf("result %d; another takes it: %d bytes", r, len(want))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := kmodtest.Code(b)
	packed := pack(b, data, "-C", "crc32")
	dst := make([]byte, Size(packed))
	d := new(Decoder)
	b.Run(fmt.Sprint(len(packed)), func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, r := d.Decode(dst, packed); r != OK {
				b.Fatal(r)
			}
		}
	})
	b.Run("another", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := otherSays(packed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
