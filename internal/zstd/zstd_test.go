// SPDX-License-Identifier: Apache-2.0

package zstd

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	other "github.com/klauspost/compress/zstd"

	"safeload/internal/kmodtest"
)

// inputs are of all kinds: code, text of few letters, noise, one byte again and again, what repeats itself.
func inputs(t testing.TB) map[string][]byte {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	noise, letters, skewed := make([]byte, 140_000), make([]byte, 70_000), make([]byte, 200_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for i := range letters {
		letters[i] = "ab"[r.IntN(2)]
	}
	for i := range skewed { // codes of up to 11 bits
		for skewed[i] < 40 && r.IntN(2) == 0 {
			skewed[i]++
		}
	}
	var again []byte // offsets that come again, and literals without a sequence
	for len(again) < 150_000 {
		at := r.IntN(1000)
		again = append(again, noise[at:at+r.IntN(40)]...)
		again = append(again, skewed[at:at+r.IntN(7)]...)
	}
	six := make([]byte, 140_000) // nothing in it comes again
	for i := range six {
		six[i] = byte(r.IntN(64))
	}
	var triples []byte // as many sequences as a block can have
	for len(triples) < 140_000 {
		at := 3 * r.IntN(1<<10)
		triples = append(triples, noise[at:at+3]...)
	}
	marked := bytes.Clone(noise) // literals that are all the same
	for len(marked) < 280_000 {
		at := r.IntN(100_000)
		marked = append(append(marked, 'x'), noise[at:at+100]...)
	}
	return map[string][]byte{"six": six, "triples": triples, "marked": marked, "one": {7}, "few": []byte("safeload"), "code": kmodtest.Code(t), "noise": noise, "letters": letters, "skewed": skewed,
		"again": again, "zeroes": make([]byte, 140_000), "both": append(bytes.Clone(noise), noise...)}
}

// unpack decompresses src, whose contents are of that size if it does not say any.
func unpack(src []byte, unsaid int) ([]byte, bool) {
	size := Size(src)
	if size < 0 {
		size = int64(unsaid)
	}
	if size > 64<<20 {
		return nil, false
	}
	dst := make([]byte, size)
	n, ok := new(Decoder).Decode(dst, src)
	return dst[:n], ok
}

// encoder is the library's.
func encoder(t testing.TB, options ...other.EOption) *other.Encoder {
	t.Helper()
	w, err := other.NewWriter(nil, append([]other.EOption{other.WithEncoderConcurrency(1)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func TestLibrary(t *testing.T) {
	all := inputs(t)
	for _, level := range []other.EncoderLevel{other.SpeedFastest, other.SpeedDefault, other.SpeedBetterCompression, other.SpeedBestCompression} {
		for i, option := range []other.EOption{other.WithEncoderCRC(false), other.WithWindowSize(1 << 10), other.WithAllLitEntropyCompression(true),
			other.WithNoEntropyCompression(true), other.WithSingleSegment(true)} {
			w := encoder(t, other.WithEncoderLevel(level), option)
			for name, data := range all {
				src := w.EncodeAll(data, nil)
				if got, ok := unpack(src, len(data)); !ok || !bytes.Equal(got, data) {
					t.Errorf("%s, %v, option %d: %d of %d bytes, %v", name, level, i, len(got), len(data), ok)
				}
			}
		}
	}
}

// run packs data as the program does.
func run(t testing.TB, data []byte, args ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m.ko")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("zstd", append(args, "-q", "-c", file)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestProgram(t *testing.T) {
	var ways [][]string
	for level := 1; level <= 19; level++ {
		ways = append(ways, []string{fmt.Sprint("-", level)})
	}
	ways = append(ways, []string{"--ultra", "-22", "--long=27"}, []string{"--ultra", "-20"}, []string{"--fast=5"}, []string{"--no-check"})
	kinds := inputs(t)
	all := slices.Concat(kinds["code"], kinds["again"], kinds["triples"], kinds["marked"], kinds["six"])
	for _, way := range ways {
		src := run(t, all, way...)
		if got, ok := unpack(src, -1); !ok || !bytes.Equal(got, all) {
			t.Errorf("%v: %d of %d bytes, %v", way, len(got), len(all), ok)
		}
	}
	for name, data := range kinds {
		src := run(t, data[:min(len(data), 20_000)], "-19")
		if got, ok := unpack(src, -1); !ok || !bytes.Equal(got, data[:min(len(data), 20_000)]) {
			t.Errorf("%s: %d bytes, %v", name, len(got), ok)
		}
	}
}

// What is larger than modules have goes another way.
func TestLarge(t *testing.T) {
	w := encoder(t, other.WithWindowSize(1<<28), other.WithSingleSegment(false))
	var b bytes.Buffer
	w.Reset(&b)
	if _, err := w.Write(kmodtest.Code(t)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n, ok := new(Decoder).Decode(make([]byte, len(kmodtest.Code(t))), b.Bytes()); ok {
		t.Errorf("a window of 256 MiB: %d bytes", n)
	}
	if size := Size(b.Bytes()); size != -1 {
		t.Errorf("a window of 256 MiB: size %d", size)
	}
	// In one segment of a byte: with a dictionary of a number, of the number 0, which is none.
	for number, want := range map[byte]bool{7: false, 0: true} {
		src := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x21, number, 1, 1 | 1<<3, 0, 0, 'x'}
		if n, ok := new(Decoder).Decode(make([]byte, 1), src); ok != want {
			t.Errorf("dictionary %d: %d bytes, %v", number, n, ok)
		}
	}
}

func TestFrames(t *testing.T) {
	w := encoder(t)
	a, b := kmodtest.Code(t)[:3000], kmodtest.Code(t)[3000:9000]
	skip := []byte("\x5a\x2a\x4d\x18\x03\x00\x00\x00abc")
	src := slices.Concat(skip, w.EncodeAll(a, nil), skip, skip, w.EncodeAll(b, nil), skip)
	dst := make([]byte, len(a)+len(b))
	n, ok := new(Decoder).Decode(dst, src)
	if !ok || n != len(dst) || !bytes.Equal(dst, kmodtest.Code(t)[:9000]) {
		t.Errorf("%d bytes, %v", n, ok)
	}
	if n, ok := new(Decoder).Decode(dst[1:], src); ok {
		t.Errorf("without room: %d bytes", n)
	}
	for cut := 1; cut < len(skip); cut++ {
		if n, ok := new(Decoder).Decode(dst, src[:len(src)-cut]); ok {
			t.Errorf("cut by %d: %d bytes", cut, n)
		}
	}
}

func TestCounts(t *testing.T) {
	for want, b := range map[int][]byte{0: {0}, 127: {127}, 5: {128, 5}, 0x7eff: {254, 255}, 0x7f00: {255, 0, 0}, 0x7f00 + 0x102: {255, 2, 1}} {
		if count, at := sequences(b, 0); count != want || at != len(b) {
			t.Errorf("%v: %d, to %d", b, count, at)
		}
		if count, at := sequences(b[:len(b)-1], 0); at != -1 {
			t.Errorf("%v: %d, to %d", b[:len(b)-1], count, at)
		}
	}
}

// like fails if d takes what the library does not, or gives others.
func like(t *testing.T, d *Decoder, r *other.Decoder, dst, src []byte) {
	t.Helper()
	n, ok := d.Decode(dst, src)
	if !ok {
		return
	}
	want, err := r.DecodeAll(src, nil)
	if err != nil || !bytes.Equal(dst[:n], want) {
		t.Fatalf("%d bytes, the library has %d, %v: %x", n, len(want), err, src[:min(len(src), 30000)])
	}
}

// decoder is the library's, with our limits.
func decoder(t testing.TB) *other.Decoder {
	t.Helper()
	r, err := other.NewReader(nil, other.WithDecoderConcurrency(1), other.WithDecoderMaxWindow(maxWindow), other.WithDecoderMaxMemory(256<<20))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestCut(t *testing.T) {
	var d Decoder
	dst := make([]byte, 20_000)
	for name, data := range inputs(t) {
		data = data[:min(len(data), len(dst))]
		for _, sum := range []bool{true, false} {
			src := encoder(t, other.WithEncoderCRC(sum)).EncodeAll(data, nil)
			for n := 1; n < len(src); n++ {
				if got, ok := d.Decode(dst, src[:n]); ok {
					t.Errorf("%s: cut to %d of %d: %d bytes", name, n, len(src), got)
				}
			}
		}
	}
}

// Without the sum of the contents, as with it all would end there.
func TestDamage(t *testing.T) {
	var d Decoder
	reader := decoder(t)
	r := rand.New(rand.NewPCG(3, 6))
	dst := make([]byte, 20_000)
	for _, data := range inputs(t) {
		data = data[:min(len(data), len(dst))]
		src := encoder(t, other.WithEncoderCRC(false), other.WithEncoderLevel(other.SpeedBestCompression)).EncodeAll(data, nil)
		for range 2000 {
			b := bytes.Clone(src)
			for range 1 + r.IntN(3) {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
			like(t, &d, reader, dst, b)
		}
		for at := range min(len(src), 200) { // headers, and the tables that follow them
			for bit := range 8 {
				b := bytes.Clone(src)
				b[at] ^= 1 << bit
				like(t, &d, reader, dst, b)
			}
		}
	}
}

// FuzzDecode compares with the library: what is taken is the same, and what that
// does not take, this does not.
func FuzzDecode(f *testing.F) {
	for _, data := range inputs(f) {
		data = data[:min(len(data), 3000)]
		for _, level := range []other.EncoderLevel{other.SpeedFastest, other.SpeedBestCompression} {
			f.Add(encoder(f, other.WithEncoderCRC(false), other.WithEncoderLevel(level)).EncodeAll(data, nil))
		}
	}
	var d Decoder
	r := decoder(f)
	dst := make([]byte, 1<<20)
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<20 {
			return
		}
		like(t, &d, r, dst, src)
	})
}
