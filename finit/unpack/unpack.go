// SPDX-License-Identifier: Apache-2.0

// Package unpack decompresses modules in user space, for kernels that do not
// (before 5.17, without CONFIG_MODULE_DECOMPRESS, or with another format).
//
// It bounds what a hostile file can make it allocate: the output, zstd's
// window, and xz's dictionary as its first block declares it.
package unpack

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

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
	// Without a buffer below it the xz reader reads single bytes.
	in := bufio.NewReaderSize(src, 64<<10)
	var r io.Reader
	var err error
	switch format {
	case finit.Gzip:
		r, err = gzip.NewReader(in)
	case finit.XZ:
		if xzDictionary(in) > maxWindow {
			return ErrTooBig
		}
		r, err = xz.NewReader(in)
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
		// No module is empty; the xz reader takes a file that ends in its
		// first block header for one.
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
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
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

// xzDictionary reads the dictionary size in the first block header without
// consuming it (the .xz file format, 3.1 and 5.3.1), 0 if there is none. The
// library allocates whatever the header says.
func xzDictionary(in *bufio.Reader) int64 {
	const streamHeader, lzma2 = 12, 0x21
	b, _ := in.Peek(streamHeader + 1024)
	if len(b) < streamHeader+2 {
		return 0
	}
	b = b[streamHeader:]
	if size := (int(b[0]) + 1) * 4; size < len(b) {
		b = b[:size]
	}
	filters, flags := int(b[1]&3)+1, b[1]
	b = b[2:]
	number := func() (n uint64) {
		for shift := 0; len(b) > 0 && shift < 63; shift += 7 {
			c := b[0]
			b = b[1:]
			n |= uint64(c&0x7f) << shift
			if c&0x80 == 0 {
				break
			}
		}
		return n
	}
	for _, present := range []byte{0x40, 0x80} { // compressed, uncompressed size
		if flags&present != 0 {
			number()
		}
	}
	for range filters {
		id, n := number(), number()
		if uint64(len(b)) < n {
			return 0
		}
		if id == lzma2 && n == 1 {
			bits := int64(b[0] & 0x3f)
			return (2 | bits&1) << (bits/2 + 11)
		}
		b = b[n:]
	}
	return 0
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
