// SPDX-License-Identifier: Apache-2.0

package unpack

import (
	"bytes"
	"compress/gzip"
	"errors"
	"hash/crc32"
	"io"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"safeload/finit"
	"safeload/internal/xz"
)

// MaxWindow bounds the memory that a decompressor keeps beside its output.
// zstd --ultra without --long stays below it.
const MaxWindow = 128 << 20

// ErrWindow says that a file of zstd needs a larger window than
// [Decoder.Window].
var ErrWindow = errors.New("a larger window than modules have")

// Decoder decompresses one file after the other. It keeps its tables, which take
// longer to make than many a module to decompress. The zero value is ready. A
// Decoder is for one goroutine at a time.
type Decoder struct {
	Window int // at most, for zstd; 0: [MaxWindow]

	xz  *xz.Decoder
	zst *zstd.Decoder
	gz  *gzip.Reader
}

// Decode decompresses src into the memory of dst, or into more of it, and fails
// with [ErrTooBig] past limit bytes. It returns what it has written in any case.
//
// Decode takes what the kernel's decompressor takes: a file of zstd need not say
// its size, unlike with [Copy], and a file of gzip that ends early is an error.
func (d *Decoder) Decode(dst, src []byte, format finit.Format, limit int64) ([]byte, error) {
	if format == finit.XZ {
		size := xz.Size(src)
		if size > limit {
			return dst[:0], ErrTooBig
		}
		if int64(cap(dst)) < size {
			dst = make([]byte, size)
		}
		n, result := d.unxz(dst[:size], src)
		if result != xz.OK {
			return dst[:0], result
		}
		return dst[:n], nil
	}
	r, err := d.reader(bytes.NewReader(src), format)
	if err != nil {
		return dst[:0], d.explain(err)
	}
	for dst = dst[:0]; ; {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case int64(len(dst)) > limit:
			return dst, ErrTooBig
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, d.explain(err)
		}
	}
}

// explain turns zstd's errors of its limits into ErrWindow. The decoder is not to
// be used after one of them.
func (d *Decoder) explain(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		d.zst = nil
		return ErrWindow
	}
	return err
}

// unxz decompresses src into dst, whose size [xz.Size] tells.
func (d *Decoder) unxz(dst, src []byte) (int, xz.Result) {
	if d.xz == nil {
		d.xz = new(xz.Decoder)
	}
	n, sum, r := d.xz.DecodeSum(dst, src)
	if sum.Is && crc32.ChecksumIEEE(dst[:sum.Size]) != sum.CRC {
		return n, xz.Data
	}
	return n, r
}

// reader decompresses in, of gzip or zstd.
func (d *Decoder) reader(in io.Reader, format finit.Format) (r io.Reader, err error) {
	switch {
	case format == finit.Gzip && d.gz == nil:
		d.gz, err = gzip.NewReader(in)
		return d.gz, err
	case format == finit.Gzip:
		return d.gz, d.gz.Reset(in)
	case format == finit.Zstd && d.zst == nil:
		window := uint64(d.Window)
		if window == 0 {
			window = MaxWindow
		}
		d.zst, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(window))
		return d.zst, err
	case format == finit.Zstd:
		return d.zst, d.zst.Reset(in)
	}
	return nil, syscall.EINVAL
}

// forget lets go of the source that reader was given, and of zstd's memory if a
// file was larger than most.
func (d *Decoder) forget(size int64) {
	d.gz = nil
	if d.zst != nil && (size > maxKept || d.zst.Reset(nil) != nil) {
		d.zst = nil
	}
}
