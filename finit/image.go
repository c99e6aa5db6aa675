// SPDX-License-Identifier: Apache-2.0

package finit

import "golang.org/x/sys/unix"

// Image is a module image of unknown size. It grows by mremap(2), outside of the
// garbage collector's heap: there, doubling would keep three copies of it. It is
// an io.Writer.
type Image struct {
	mapped []byte
	n      int
}

// Write appends b; EFBIG past [MaxImage].
func (m *Image) Write(b []byte) (int, error) {
	room, err := m.grow(len(b))
	if err != nil {
		return 0, err
	}
	copy(room, b)
	m.n += len(b)
	return len(b), nil
}

// grow returns the unused part of the image, at least n bytes of it.
func (m *Image) grow(n int) ([]byte, error) {
	if n <= len(m.mapped)-m.n {
		return m.mapped[m.n:], nil
	}
	if int64(m.n)+int64(n) > MaxImage {
		return nil, unix.EFBIG
	}
	size := max(2*len(m.mapped), m.n+n, 1<<20)
	var err error
	if m.mapped == nil {
		m.mapped, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	} else {
		var b []byte
		if b, err = unix.Mremap(m.mapped, size, unix.MREMAP_MAYMOVE); err == nil {
			m.mapped = b
		}
	}
	return m.mapped[m.n:], err
}

// ReadFrom appends what the descriptor fd gives until its end.
func (m *Image) ReadFrom(fd int) error {
	for {
		room, err := m.grow(1)
		if err != nil {
			return err
		}
		n, err := unix.Read(fd, room)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return err
		}
		m.n += n
	}
}

// Bytes returns the image, which is used up then. The slice is mapped memory and
// its capacity is the whole mapping, for [Unmap].
func (m *Image) Bytes() []byte { return m.mapped[:m.n] }

// Free unmaps the image.
func (m *Image) Free() { Unmap(m.mapped) }

// Unmap unmaps what an [Unpacker] returned.
func Unmap(image []byte) {
	if cap(image) > 0 {
		_ = unix.Munmap(image[:cap(image)])
	}
}
