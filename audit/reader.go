// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"safeload/finit"
	"safeload/finit/unpack"
	"safeload/internal/treefile"
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
	keptBuffer  = 8 << 20
)

// reader reads module files of any kind into a buffer that it uses again.
type reader struct {
	memory  *memory // nil: no limit but that of one module
	taken   int64
	in, out []byte
	decoder unpack.Decoder
}

func newReader(m *memory) *reader {
	return &reader{memory: m, decoder: unpack.Decoder{Window: usualWindow}}
}

// read returns a module's contents, which are valid until release.
func (r *reader) read(file string) ([]byte, error) {
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
	r.take(need)
	r.in = slices.Grow(r.in[:0], int(fi.Size())+1)[:fi.Size()+1]
	switch n, err := io.ReadFull(f, r.in); err {
	case io.EOF, io.ErrUnexpectedEOF:
		r.in = r.in[:n]
	case nil:
		return nil, errors.New("changes while it is read")
	default:
		return nil, err
	}
	format := finit.SniffBytes(r.in)
	if format == finit.Plain {
		return r.in, nil
	}
	limit := roomFor(int64(len(r.in)))
	r.out, err = r.decoder.Decode(r.out, r.in, format, limit)
	if err == unpack.ErrWindow {
		r.give()
		r.take(totalMemory)
		r.out, err = new(unpack.Decoder).Decode(r.out, r.in, format, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return r.out, nil
}

func (r *reader) take(n int64) {
	if r.memory != nil {
		r.taken = r.memory.take(n)
	}
}

func (r *reader) give() {
	if r.memory != nil {
		r.memory.give(r.taken)
		r.taken = 0
	}
}

// release ends the use of what read returned.
func (r *reader) release() {
	if cap(r.in) > keptBuffer {
		r.in = nil
	}
	if cap(r.out) > keptBuffer {
		r.out = nil
	}
	r.give()
}

// roomFor is how much a compressed file of a size may decompress to.
func roomFor(size int64) int64 { return min(maxModule, alwaysRoom+maxGrowth*size) }
