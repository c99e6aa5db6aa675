// SPDX-License-Identifier: Apache-2.0

// Package unpack decompresses modules in user space, for kernels that do not
// (before 5.17, without CONFIG_MODULE_DECOMPRESS, or with another format).
//
// It bounds what a hostile file can make it allocate: the output, zstd's
// window, xz's dictionary.
package unpack

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"

	"safeload/finit"
)

// ErrTooBig says that a file decompresses to more than the limit, or would
// need more memory than any module does. It is an EFBIG.
var ErrTooBig error = tooBig{}

type tooBig struct{}

func (tooBig) Error() string { return "decompressed size or window over the limit" }
func (tooBig) Unwrap() error { return syscall.EFBIG }

// damaged is what a decompressor says, as an EINVAL, which is what libkmod
// makes of it (libkmod-file.c).
type damaged struct{ err error }

func (d damaged) Error() string { return d.err.Error() }
func (d damaged) Unwrap() error { return syscall.EINVAL }

// maxWindow bounds the memory that a decompressor keeps beside its output.
// xz -9 and zstd --ultra without --long stay below it.
const maxWindow = 128 << 20

// Copy decompresses src to dst and fails with [ErrTooBig] past limit bytes.
// A damaged source is EINVAL.
func Copy(dst io.Writer, src io.Reader, format finit.Format, limit int64) error {
	in := bufio.NewReaderSize(src, 64<<10)
	var r io.Reader
	var err error
	switch format {
	case finit.Gzip:
		r, err = gzip.NewReader(in)
	case finit.XZ:
		r, err = xz.NewReader(in, maxWindow)
	case finit.Zstd:
		var d *zstd.Decoder
		d, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			defer d.Close()
			r = d
		}
	default:
		return syscall.EINVAL
	}
	if err != nil {
		return sourceError(err)
	}
	n, err := io.Copy(dst, sourceReader{io.LimitReader(r, limit+1)})
	if err == nil && n > limit {
		return ErrTooBig
	}
	if err == nil && n == 0 {
		// No module is empty; the zstd reader takes no bytes at all for one.
		return damaged{io.ErrUnexpectedEOF}
	}
	return err
}

// sourceReader marks the reader's errors, to tell them from the writer's.
type sourceReader struct{ r io.Reader }

func (s sourceReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && err != io.EOF {
		err = sourceError(err)
	}
	return n, err
}

func sourceError(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) ||
		errors.Is(err, xz.ErrMemlimit) {
		return ErrTooBig
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return err
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return damaged{err}
}

// InProcess is a [finit.Unpacker] that decompresses in this process.
func InProcess(fd int, format finit.Format) ([]byte, error) {
	dup, err := syscall.Dup(fd)
	if err != nil {
		return nil, err
	}
	syscall.CloseOnExec(dup)
	f := os.NewFile(uintptr(dup), "module")
	defer f.Close()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var image finit.Image
	if err := Copy(&image, f, format, finit.MaxImage); err != nil {
		image.Free()
		return nil, err
	}
	return image.Bytes(), nil
}
