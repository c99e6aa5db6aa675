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
		w = gzip.NewWriter(&b)
	case finit.XZ:
		w, err = xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(&b)
	case finit.Zstd:
		w, err = zstd.NewWriter(&b)
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
			if !errors.Is(err, syscall.EINVAL) {
				t.Errorf("%v cut to %d bytes: %v, want EINVAL", format, n, err)
			}
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
	if err := Copy(io.Discard, bytes.NewReader(packed), finit.XZ, 1<<20); !errors.Is(err, ErrTooBig) {
		t.Errorf("got %v, want ErrTooBig", err)
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
