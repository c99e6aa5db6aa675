// SPDX-License-Identifier: Apache-2.0

package unpack

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"safeload/finit"
	"safeload/internal/kmodtest"
)

// sample is neither constant nor random, as a module is.
func sample(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(1 + i%97))
	}
	return b
}

func compress(t testing.TB, format finit.Format, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case finit.Gzip:
		return kmodtest.Gzip(t, data, gzip.DefaultCompression)
	case finit.XZ:
		w, err = xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(&b)
	case finit.Zstd:
		e, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return e.EncodeAll(data, nil) // a frame that says its size, as zstd(1) makes of a file
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var formats = []finit.Format{finit.Gzip, finit.XZ, finit.Zstd}

func TestCopy(t *testing.T) {
	want := sample(50_000)
	for _, format := range formats {
		packed := compress(t, format, want)
		if got := finit.SniffBytes(packed); got != format {
			t.Errorf("%v is taken for %v", format, got)
		}
		var got bytes.Buffer
		if err := Copy(&got, bytes.NewReader(packed), format, int64(len(want))); err != nil {
			t.Errorf("%v: %v", format, err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%v: %d bytes came back of %d, or others", format, got.Len(), len(want))
		}
		err := Copy(io.Discard, bytes.NewReader(packed), format, int64(len(want))-1)
		if !errors.Is(err, ErrTooBig) || !errors.Is(err, syscall.EFBIG) {
			t.Errorf("%v past the limit: %v, want ErrTooBig", format, err)
		}
		for _, n := range []int{0, 1, 7, 20, len(packed) / 2, len(packed) - 1} {
			err := Copy(io.Discard, bytes.NewReader(packed[:n]), format, 1<<20)
			if format == finit.Gzip {
				if err != nil {
					t.Errorf("%v cut to %d bytes: %v, want what there is", format, n, err)
				}
			} else if !errors.Is(err, syscall.EINVAL) || damageOf(err) == 0 {
				t.Errorf("%v cut to %d bytes: %v, want damage", format, n, err)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	data := sample(50_000)
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 0xff
		return b
	}
	var stream bytes.Buffer
	w, err := zstd.NewWriter(&stream)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(data)
	_ = w.Flush()
	_ = w.Close()
	gz, x, z := compress(t, finit.Gzip, data), compress(t, finit.XZ, data), compress(t, finit.Zstd, data)
	for name, test := range map[string]struct {
		format finit.Format
		packed []byte
		want   finit.Damage
	}{
		"gzip header":        {finit.Gzip, flip(gz, 2), finit.GzipHeader},
		"gzip check":         {finit.Gzip, flip(gz, len(gz)-8), finit.GzipCheck},
		"xz header":          {finit.XZ, flip(x, 1), finit.XZFormat},
		"xz flags":           {finit.XZ, flip(x, 7), finit.XZData},
		"xz block":           {finit.XZ, flip(x, len(x)/2), finit.XZData},
		"xz end":             {finit.XZ, x[:len(x)-1], finit.XZEnd},
		"xz with more":       {finit.XZ, append(bytes.Clone(x), "something else"...), finit.XZData},
		"zstd without size":  {finit.Zstd, stream.Bytes(), finit.ZstdSize},
		"zstd end":           {finit.Zstd, z[:len(z)/2], finit.ZstdEnd},
		"zstd check":         {finit.Zstd, flip(z, len(z)-1), finit.ZstdCheck},
		"zstd of two frames": {finit.Zstd, append(bytes.Clone(z), z...), finit.ZstdSmall},
	} {
		if got := damageOf(Copy(io.Discard, bytes.NewReader(test.packed), test.format, 1<<20)); got != test.want {
			t.Errorf("%s: damage %d, want %d", name, got, test.want)
		}
	}
}

// A bomb must end at the limit, not in the memory.
func TestBomb(t *testing.T) {
	for _, format := range formats {
		packed := compress(t, format, make([]byte, 6<<20))
		var n counter
		err := Copy(&n, bytes.NewReader(packed), format, 1<<20)
		if !errors.Is(err, ErrTooBig) || n > 2<<20 {
			t.Errorf("%v: %v after %d bytes", format, err, n)
		}
	}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

func TestHugeXZDictionary(t *testing.T) {
	packed := compress(t, finit.XZ, sample(1000))
	// Stream header 12 bytes; block header: size, flags, filter 0x21, 1 byte
	// of properties, dictionary size.
	if packed[14] != 0x21 || packed[15] != 1 {
		t.Fatalf("block header % x is not what this test knows", packed[12:24])
	}
	packed[16] = 39 // 3 GiB
	binary.LittleEndian.PutUint32(packed[20:], crc32.ChecksumIEEE(packed[12:20]))
	// It costs nothing: what was decompressed is the dictionary.
	if err := Copy(io.Discard, bytes.NewReader(packed), finit.XZ, 1<<20); err != nil {
		t.Error(err)
	}
}

func TestInProcess(t *testing.T) {
	want := sample(1 << 18)
	file := filepath.Join(t.TempDir(), "m.ko.zst")
	if err := os.WriteFile(file, compress(t, finit.Zstd, want), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := InProcess(int(f.Fd()), finit.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	defer finit.Unmap(got)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back of %d, or others", len(got), len(want))
	}
}

func FuzzCopy(f *testing.F) {
	for _, format := range formats {
		f.Add(byte(format), compress(f, format, sample(500)))
	}
	f.Fuzz(func(t *testing.T, format byte, packed []byte) {
		var n counter
		err := Copy(&n, bytes.NewReader(packed), finit.Format(format), 1<<16)
		if err == nil && n > 1<<16 {
			t.Errorf("%d bytes past the limit", n)
		}
	})
}

// damageOf finds the damage in an error, 0 if there is none.
func damageOf(err error) finit.Damage {
	d, _ := errors.AsType[finit.Damage](err)
	return d
}
