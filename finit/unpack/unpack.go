// SPDX-License-Identifier: Apache-2.0

// Package unpack decompresses modules in user space, for kernels that do not
// (before 5.17, without CONFIG_MODULE_DECOMPRESS, or with another format).
//
// It bounds what a hostile file can make it allocate: the output, zstd's
// window. What xz gives is its dictionary.
package unpack

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/finit/internal/damage"
	"safeload/internal/xz"
)

// ErrTooBig says that a file decompresses to more than the limit, or would
// need more memory than any module does. It is an EFBIG.
var ErrTooBig error = tooBig{}

type tooBig struct{}

func (tooBig) Error() string { return "decompressed size or window over the limit" }
func (tooBig) Unwrap() error { return syscall.EFBIG }

// Copy decompresses src to dst and fails with [ErrTooBig] past limit bytes.
// A damaged source is a [finit.Damage]. A gzip source that ends early, or with
// something else behind it, gives what there is, as zlib's gzread does.
func Copy(dst io.Writer, src io.Reader, format finit.Format, limit int64) error {
	if format == finit.XZ {
		return copyXZ(dst, src, limit)
	}
	in := bufio.NewReaderSize(src, 64<<10)
	from := sourceReader{format: format}
	var err error
	if format == finit.Zstd {
		if from.size, err = zstdSize(in, limit); err != nil {
			return err
		}
	}
	d := decoders.Get().(*Decoder)
	defer decoders.Put(d)
	from.r, err = d.reader(in, format)
	defer func() { d.forget(from.size) }()
	if err != nil {
		if err = from.error(err); err == io.EOF {
			return nil
		}
		return err
	}
	n, err := io.Copy(dst, io.LimitReader(&from, limit+1))
	if err == nil && n > limit {
		return ErrTooBig
	}
	return err
}

// maxKept is the size of a module up to which its decoder is used again.
const maxKept = 8 << 20

var decoders = sync.Pool{New: func() any { return new(Decoder) }}

// zstdSize is the size that the first frame says it has. libkmod makes room for
// that much and takes no frame that does not say.
func zstdSize(in *bufio.Reader, limit int64) (int64, error) {
	head, err := in.Peek(zstd.HeaderMaxSize)
	if err != nil && err != io.EOF {
		return 0, err
	}
	var h zstd.Header
	switch {
	case h.Decode(head) != nil, !h.HasFCS, h.FrameContentSize == 0:
		return 0, finit.ZstdSize
	case h.FrameContentSize > uint64(limit), h.WindowSize > MaxWindow:
		return 0, ErrTooBig
	}
	return int64(h.FrameContentSize), nil
}

// sourceReader gives the errors of a decompressor in libkmod's words, which
// also tells them from the writer's.
type sourceReader struct {
	r      io.Reader
	format finit.Format
	size   int64 // at most, if not 0
	n      int64 // so far
}

func (s *sourceReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.n += int64(n)
	if s.size != 0 && s.n > s.size {
		return n, finit.ZstdSmall
	}
	if err != nil {
		err = s.error(err)
	}
	return n, err
}

func (s *sourceReader) error(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return err
	}
	early := err == io.ErrUnexpectedEOF
	if s.format == finit.Gzip {
		switch {
		case err == io.EOF, early, err == gzip.ErrHeader && s.n > 0:
			return io.EOF
		case err == gzip.ErrHeader:
			return finit.GzipHeader
		case err == gzip.ErrChecksum:
			return finit.GzipCheck
		}
		return finit.GzipData
	}
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, zstd.ErrCRCMismatch):
		return finit.ZstdCheck
	case early, errors.Is(err, zstd.ErrMagicMismatch):
		return finit.ZstdEnd
	case errors.Is(err, zstd.ErrFrameSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return finit.ZstdSmall
	}
	return finit.ZstdData
}

// unxz decompresses all of src into memory that it maps.
func unxz(src []byte, limit int64) ([]byte, error) {
	size := xz.Size(src)
	if size > limit {
		return nil, ErrTooBig
	}
	dst, err := unix.Mmap(-1, 0, max(int(size), 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	d := decoders.Get().(*Decoder)
	defer decoders.Put(d)
	n, result := d.unxz(dst[:size], src)
	if err := damage.OfXZ(result); err != nil {
		finit.Unmap(dst)
		return nil, err
	}
	return dst[:n], nil
}

// copyXZ is Copy of an xz file. The whole of both lies in memory, as the module's image has to in any case.
func copyXZ(dst io.Writer, src io.Reader, limit int64) error {
	var in finit.Image
	defer in.Free()
	if _, err := io.Copy(&in, src); err != nil {
		return err
	}
	out, err := unxz(in.Bytes(), limit)
	if err != nil {
		return err
	}
	defer finit.Unmap(out)
	_, err = dst.Write(out)
	return err
}

// inProcessXZ is inProcess of an xz file.
func inProcessXZ(fd int, limit int64) ([]byte, error) {
	var in finit.Image
	defer in.Free()
	if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil {
		return nil, err
	}
	if err := in.ReadFrom(fd); err != nil {
		return nil, err
	}
	return unxz(in.Bytes(), limit)
}

// InProcess is a [finit.Unpacker] that decompresses in this process.
func InProcess(fd int, format finit.Format) ([]byte, error) {
	return inProcess(fd, format, finit.MaxImage)
}

// inProcess fails with [ErrTooBig] past limit bytes.
func inProcess(fd int, format finit.Format, limit int64) ([]byte, error) {
	if format == finit.XZ {
		return inProcessXZ(fd, limit)
	}
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
	if err := Copy(&image, f, format, limit); err != nil {
		image.Free()
		return nil, err
	}
	return image.Bytes(), nil
}
