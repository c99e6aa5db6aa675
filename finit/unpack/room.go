// SPDX-License-Identifier: Apache-2.0

package unpack

import (
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/finit/internal/damage"
	"safeload/internal/xz"
)

// Room is memory in which one module after another is read, for programs that
// read a whole tree: fresh memory costs a page fault for each page, and with
// them a tenth of the time. One goroutine uses it at a time.
type Room struct {
	in, out area
	mapped  []byte // a file
	large   bool   // holds theLarge
	decoder Decoder
	zstd    *zstd.Decoder
}

// theLarge is held by the room with a file or a module larger than nearly all real ones:
// of those only one is in memory at a time, however many read. A file that is only mapped
// takes no memory.
var theLarge sync.Mutex

// oversize is the size from which on a module is one of those.
const oversize = 16 << 20

// output makes room for n bytes of contents.
func (r *Room) output(n int) ([]byte, error) {
	r.alone(n)
	return r.out.of(n)
}

// alone waits until no other room has something large, if n bytes are that.
func (r *Room) alone(n int) {
	if n > oversize && !r.large {
		theLarge.Lock()
		r.large = true
	}
}

// area is mapped memory that is used again.
type area struct{ mapped []byte }

const (
	// keep is how much an area has and keeps for the next module.
	keep = 4 << 20
	// copied is the size up to which a file that is not compressed is read, which takes
	// less than to map it.
	copied = 128 << 10
)

// of gives n bytes whose contents are anything.
func (a *area) of(n int) ([]byte, error) {
	if n > len(a.mapped) {
		a.free()
		b, err := unix.Mmap(-1, 0, max(n, keep), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return nil, err
		}
		a.mapped = b
	}
	return a.mapped[:n], nil
}

func (a *area) free() {
	finit.Unmap(a.mapped)
	a.mapped = nil
}

// trim gives back what one large module needed.
func (a *area) trim() {
	if len(a.mapped) > keep {
		a.free()
	}
}

// Done is called when the last contents are no longer needed.
func (r *Room) Done() {
	finit.Unmap(r.mapped)
	r.mapped = nil
	r.in.trim()
	r.out.trim()
	if r.large {
		r.large = false
		theLarge.Unlock()
	}
}

// Free gives all of it back.
func (r *Room) Free() {
	r.Done()
	r.in.free()
	r.out.free()
}

// Contents is [finit.Loader.Contents] with [InProcess], but for that they are the
// room's: they are good until Done.
func (r *Room) Contents(path string) ([]byte, error) {
	fd, err := finit.Open(path)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	regular := st.Mode&unix.S_IFMT == unix.S_IFREG
	if regular && st.Size > sniffed && st.Size <= copied {
		src, err := r.read(fd, int(st.Size))
		if err != nil {
			return nil, err
		}
		return r.unpack(fd, src, finit.SniffBytes(src))
	}
	format, err := finit.Sniff(fd)
	switch {
	case err != nil:
		return nil, err
	case format == finit.Plain:
		r.mapped, err = new(finit.Loader).ContentsOf(fd)
		return r.mapped, err
	case !regular || st.Size > finit.MaxImage:
		return r.slowly(fd, format)
	}
	src, err := r.read(fd, int(st.Size))
	if err != nil {
		return nil, err
	}
	return r.unpack(fd, src, format)
}

// sniffed is how much of a file tells its format.
const sniffed = 6

// unpack decompresses src, all of the file fd.
func (r *Room) unpack(fd int, src []byte, format finit.Format) ([]byte, error) {
	switch format {
	case finit.Plain:
		return src, nil
	case finit.XZ:
		return r.unxz(src)
	case finit.Zstd:
		if image, ok := r.unzstd(src); ok {
			return image, nil
		}
	}
	return r.slowly(fd, format)
}

// slowly decompresses as [InProcess], which also tells what is wrong with a file. What
// does not say how much memory it needs gets that of a usual module first.
func (r *Room) slowly(fd int, format finit.Format) (_ []byte, err error) {
	if format == finit.Gzip && !r.large {
		if r.mapped, err = inProcess(fd, format, oversize); err != ErrTooBig {
			return r.mapped, err
		}
	}
	r.alone(oversize + 1)
	r.mapped, err = InProcess(fd, format)
	return r.mapped, err
}

// read reads a file of that size.
func (r *Room) read(fd, size int) ([]byte, error) {
	r.alone(size)
	b, err := r.in.of(size)
	if err != nil {
		return nil, err
	}
	for n := 0; n < size; {
		k, err := unix.Pread(fd, b[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if k == 0 {
			return b[:n], nil
		}
		n += k
	}
	return b, nil
}

func (r *Room) unxz(src []byte) ([]byte, error) {
	size := xz.Size(src)
	if size > finit.MaxImage {
		return nil, ErrTooBig
	}
	dst, err := r.output(int(size))
	if err != nil {
		return nil, err
	}
	n, result := r.decoder.unxz(dst, src)
	if err := damage.OfXZ(result); err != nil {
		return nil, err
	}
	return dst[:n], nil
}

// unzstd decompresses a file that is whole into the room that it says it needs;
// ok is false for any other.
func (r *Room) unzstd(src []byte) (image []byte, ok bool) {
	var h zstd.Header
	if h.Decode(src[:min(len(src), zstd.HeaderMaxSize)]) != nil || !h.HasFCS || h.FrameContentSize == 0 ||
		h.FrameContentSize > uint64(finit.MaxImage) || h.WindowSize > MaxWindow {
		return nil, false
	}
	if r.zstd == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(MaxWindow),
			zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return nil, false
		}
		r.zstd = d
	}
	dst, err := r.output(int(h.FrameContentSize) + slack)
	if err != nil {
		return nil, false
	}
	image, err = r.zstd.DecodeAll(src, dst[:0])
	return image, err == nil && uint64(len(image)) <= h.FrameContentSize
}

// slack is what the decompressor wants behind its output to be quick.
const slack = 16
