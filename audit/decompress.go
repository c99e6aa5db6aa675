// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"safeload/finit"
	"safeload/internal/treefile"
	"safeload/internal/xz"
)

// maxModule bounds a module's file, and a decompressed module: some hundred
// megabytes with debug information, less than that without.
const maxModule = 512 << 20

// A module shrinks to a third or a tenth. One that would grow much more than
// that is made to fill the memory.
const (
	maxGrowth   = 100
	alwaysRoom  = 16 << 20 // for modules that are mostly zeros
	usualWindow = 8 << 20  // zstd -19
	maxWindow   = 128 << 20
	keptBuffer  = 8 << 20
)

// decompressor reads module files of any kind into a buffer that it uses again.
type decompressor struct {
	memory  *memory // nil: no limit but that of one module
	taken   int64
	in, out []byte
	xz      *xz.Decoder
	zst     *zstd.Decoder
	gz      *gzip.Reader
}

// read returns a module's contents, which are valid until release.
func (d *decompressor) read(file string) ([]byte, error) {
	f, err := treefile.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxModule {
		return nil, ErrTooLarge
	}
	head := make([]byte, 6)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	need := fi.Size()
	if finit.SniffBytes(head[:n]) != finit.Plain {
		need += roomFor(fi.Size()) + usualWindow
	}
	d.take(need)
	if d.in, err = readAllLimited(d.in[:0], f, int(fi.Size())); err != nil {
		if err == errTooLong {
			err = errors.New("changes while it is read")
		}
		return nil, err
	}
	out, err := d.decompress(d.in, usualWindow)
	if errors.Is(err, errWindow) {
		d.give()
		d.take(totalMemory)
		out, err = d.decompress(d.in, maxWindow)
		d.zst = nil // which keeps it
	}
	return out, err
}

func (d *decompressor) take(n int64) {
	if d.memory != nil {
		d.taken = d.memory.take(n)
	}
}

func (d *decompressor) give() {
	if d.memory != nil {
		d.memory.give(d.taken)
		d.taken = 0
	}
}

// release ends the use of what read returned.
func (d *decompressor) release() {
	if cap(d.in) > keptBuffer {
		d.in = nil
	}
	if cap(d.out) > keptBuffer {
		d.out = nil
	}
	d.give()
}

// roomFor is how much a compressed file of a size may decompress to.
func roomFor(size int64) int64 { return min(maxModule, alwaysRoom+maxGrowth*size) }

// errWindow says that a file needs a larger window than it was given.
var errWindow = errors.New("a larger window than modules have")

// decompress by the file's first bytes. The result is valid until the next call.
func (d *decompressor) decompress(in []byte, window int) ([]byte, error) {
	src := bytes.NewReader(in)
	var r io.Reader
	var err error
	switch finit.SniffBytes(in) {
	case finit.Plain:
		return in, nil
	case finit.XZ:
		return d.unxz(in)
	case finit.Zstd:
		if d.zst == nil || window != usualWindow {
			d.zst, err = zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(uint64(window)))
		} else {
			err = d.zst.Reset(src)
		}
		r = d.zst
	case finit.Gzip:
		if d.gz == nil {
			d.gz, err = gzip.NewReader(src)
		} else {
			err = d.gz.Reset(src)
		}
		r = d.gz
	}
	if err == nil {
		d.out, err = readAllLimited(d.out[:0], r, int(roomFor(int64(len(in)))))
	}
	switch {
	case err == nil:
		return d.out, nil
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		d.zst = nil // it is not to be used after an error of its limits
		return nil, fmt.Errorf("decompress: %w", errWindow)
	}
	return nil, fmt.Errorf("decompress: %w", err)
}

// unxz decompresses an xz file, whose window is what was decompressed.
func (d *decompressor) unxz(in []byte) ([]byte, error) {
	size := xz.Size(in)
	if size > roomFor(int64(len(in))) {
		return nil, fmt.Errorf("decompress: %w", errTooLong)
	}
	if int64(cap(d.out)) < size {
		d.out = make([]byte, size)
	}
	if d.xz == nil {
		d.xz = new(xz.Decoder)
	}
	n, result := d.xz.Decode(d.out[:size], in)
	if result != xz.OK {
		return nil, fmt.Errorf("decompress: %w", result)
	}
	d.out = d.out[:n]
	return d.out, nil
}
