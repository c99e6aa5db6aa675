// SPDX-License-Identifier: Apache-2.0

// Package elfhead reads the headers of ELF files: the file's own, those of its
// sections and segments, and its symbols, of both sizes and both byte orders.
//
// It returns what stands there and trusts nothing: each caller says what a file
// may be, and what is wrong with another. It reads no more than it is given,
// allocates nothing and imports nothing, for the kernel's helper links it.
package elfhead

// Magic is what an ELF file begins with.
const Magic = "\x7fELF"

// Sizes of the headers in files of 32 and 64 bits.
const (
	Size32, Size64       = 52, 64
	section32, section64 = 40, 64
	segment32, segment64 = 32, 56
	symbol32, symbol64   = 16, 24
)

// Header is the header of a file.
type Header struct {
	Class         byte // 1: 32 bits, 2: 64
	Order         byte // 1: little-endian, 2: big-endian
	Type, Machine uint16
	Segments      Table
	Sections      Table
	Names         uint64 // which section holds the names of all
}

// Table says where the headers of the sections or segments are.
type Table struct {
	At    uint64
	Each  uint64 // size of one
	Count uint64
}

// Read reads the header that b begins with. ok is false if b is not ELF or is
// shorter than a header of 32 bits. Of a shorter header of 64 bits the tables are
// empty.
func Read(b []byte) (h Header, ok bool) {
	if len(b) < Size32 || string(b[:4]) != Magic {
		return h, false
	}
	h.Class, h.Order = b[4], b[5]
	h.Type, h.Machine = uint16(h.Uint(b[16:18])), uint16(h.Uint(b[18:20]))
	switch {
	case !h.Wide():
		h.Segments = Table{h.Uint(b[28:32]), h.Uint(b[42:44]), h.Uint(b[44:46])}
		h.Sections = Table{h.Uint(b[32:36]), h.Uint(b[46:48]), h.Uint(b[48:50])}
		h.Names = h.Uint(b[50:52])
	case len(b) >= Size64:
		h.Segments = Table{h.Uint(b[32:40]), h.Uint(b[54:56]), h.Uint(b[56:58])}
		h.Sections = Table{h.Uint(b[40:48]), h.Uint(b[58:60]), h.Uint(b[60:62])}
		h.Names = h.Uint(b[62:64])
	}
	return h, true
}

// Wide reports whether the file is of 64 bits.
func (h *Header) Wide() bool { return h.Class == 2 }

// Big reports whether the file is big-endian.
func (h *Header) Big() bool { return h.Order == 2 }

// Known reports whether the class and the byte order are ones that there are.
func (h *Header) Known() bool {
	return (h.Class == 1 || h.Class == 2) && (h.Order == 1 || h.Order == 2)
}

// SectionSize is the size of a section's header.
func (h *Header) SectionSize() uint64 { return h.size(section32, section64) }

// SegmentSize is the size of a segment's header.
func (h *Header) SegmentSize() uint64 { return h.size(segment32, segment64) }

// SymbolSize is the size of an entry of a symbol table.
func (h *Header) SymbolSize() int { return int(h.size(symbol32, symbol64)) }

func (h *Header) size(narrow, wide uint64) uint64 {
	if h.Wide() {
		return wide
	}
	return narrow
}

// Section is the header of a section.
type Section struct {
	Name, Type uint32 // Name: where it is in the section of names
	Flags      uint64
	Offset     uint64
	Size       uint64
	Link, Info uint32
}

// Section reads the header of a section, of which b has at least
// [Header.SectionSize] bytes.
func (h *Header) Section(b []byte) Section {
	s := Section{Name: h.uint32(b), Type: h.uint32(b[4:])}
	if h.Wide() {
		s.Flags, s.Offset, s.Size = h.uint64(b[8:]), h.uint64(b[24:]), h.uint64(b[32:])
		s.Link, s.Info = h.uint32(b[40:]), h.uint32(b[44:])
	} else {
		s.Flags, s.Offset, s.Size = uint64(h.uint32(b[8:])), uint64(h.uint32(b[16:])), uint64(h.uint32(b[20:]))
		s.Link, s.Info = h.uint32(b[24:]), h.uint32(b[28:])
	}
	return s
}

// Segment is the header of a segment.
type Segment struct {
	Type    uint32
	Offset  uint64
	Size    uint64 // in the file
	Address uint64
	Memory  uint64 // its size there
}

// Segment reads the header of a segment, of which b has at least
// [Header.SegmentSize] bytes.
func (h *Header) Segment(b []byte) Segment {
	if h.Wide() {
		return Segment{h.uint32(b), h.uint64(b[8:]), h.uint64(b[32:]), h.uint64(b[16:]), h.uint64(b[40:])}
	}
	return Segment{h.uint32(b), uint64(h.uint32(b[4:])), uint64(h.uint32(b[16:])), uint64(h.uint32(b[8:])), uint64(h.uint32(b[20:]))}
}

// Symbol is an entry of a symbol table.
type Symbol struct {
	Name    uint32 // where it is in the section of strings
	Info    byte   // binding and type
	Section uint16
	Value   uint64
	Size    uint64
}

// Symbol reads an entry of a symbol table, of which b has at least
// [Header.SymbolSize] bytes.
func (h *Header) Symbol(b []byte) Symbol {
	if h.Wide() {
		return Symbol{h.uint32(b), b[4], h.uint16(b[6:]), h.uint64(b[8:]), h.uint64(b[16:])}
	}
	return Symbol{h.uint32(b), b[12], h.uint16(b[14:]), uint64(h.uint32(b[4:])), uint64(h.uint32(b[8:]))}
}

// Uint reads a number of any size in the file's byte order.
func (h *Header) Uint(b []byte) (n uint64) {
	for i := range b {
		if h.Big() {
			n = n<<8 | uint64(b[i])
		} else {
			n |= uint64(b[i]) << (8 * i)
		}
	}
	return n
}

// The compiler makes one load of each of these.

func (h *Header) uint16(b []byte) uint16 {
	if h.Big() {
		return uint16(b[1]) | uint16(b[0])<<8
	}
	return uint16(b[0]) | uint16(b[1])<<8
}

func (h *Header) uint32(b []byte) uint32 {
	_ = b[3]
	if h.Big() {
		return uint32(b[3]) | uint32(b[2])<<8 | uint32(b[1])<<16 | uint32(b[0])<<24
	}
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (h *Header) uint64(b []byte) uint64 {
	if h.Big() {
		return uint64(h.uint32(b[4:])) | uint64(h.uint32(b))<<32
	}
	return uint64(h.uint32(b)) | uint64(h.uint32(b[4:]))<<32
}
