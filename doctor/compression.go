// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"safeload/finit"
	"safeload/internal/treefile"
)

// compression reports who decompresses the modules. A file's first bytes tell its
// format, not its name.
func (e *examination) compression(tree string, files []moduleFile) {
	kernel, err := e.sys.line("/sys/module/compression")
	if err != nil {
		kernel = ""
	}
	kinds := map[string]int{}
	var other []string              // not what their names say
	cannot := map[string][]string{} // by the kernel, and why
	for _, f := range files {
		if f.format == "none" {
			continue
		}
		kinds[f.format]++
		head, err := e.sys.head(tree + "/" + f.path)
		switch is := finit.SniffBytes(head); {
		case err != nil || is.String() != f.format:
			other = append(other, f.path)
		case f.format == kernel:
			if why := kernelLacks(is, head); why != "" {
				cannot[why] = append(cannot[why], f.path)
			}
		}
	}
	if len(kinds) == 0 {
		value := "modules are not compressed"
		if kernel != "" {
			value += "; the kernel could decompress " + kernel
		}
		e.add(OK, "compression", value, "", "")
		return
	}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		value := fmt.Sprintf("%d modules in %s", kinds[k], k)
		if k == kernel {
			e.add(OK, "compression", value+", decompressed by the kernel", "/sys/module/compression", "")
		} else {
			e.add(Note, "compression", value+", decompressed by safeload", "the kernel's own is \""+kernel+"\": loads take the wait by name, not by file", "")
		}
	}
	for _, why := range slices.Sorted(maps.Keys(cannot)) {
		e.add(Note, "compressed files", fmt.Sprintf("%d with %s, decompressed by safeload: %s", len(cannot[why]), why, some(cannot[why])),
			"the kernel's own decompressor does not take that, and a kmod that leaves it to the kernel cannot load them", "")
	}
	if len(other) > 0 {
		e.add(Bad, "compressed files", some(other), "not what the name says, or not to be read: loading them fails", "")
	}
}

// head reads the first bytes of a regular file.
func (s system) head(name string) ([]byte, error) {
	f, err := treefile.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 64)
	n, err := io.ReadFull(f, b)
	if err == io.ErrUnexpectedEOF {
		err = nil
	}
	return b[:n], err
}

// largeWindow is a size that the kernel of a small machine may be unable to
// allocate in one piece, beside the module itself.
const largeWindow = 32 << 20

// kernelLacks returns what a file needs and kernel/module/decompress.c, lib/xz or
// the kernel's reader of gzip headers lacks; empty if nothing.
func kernelLacks(format finit.Format, b []byte) string {
	switch format {
	case finit.XZ:
		return xzLacks(b)
	case finit.Gzip:
		// module_gzip_header_len knows a file's name, and no other field.
		if len(b) > 3 && b[3]&^0x09 != 0 {
			return "a header of gzip that has more than a name"
		}
	case finit.Zstd:
		// RFC 8878, 3.1.1.1: the frame's descriptor, then the window's if it is
		// not a single segment.
		if len(b) > 5 && b[4]&0x20 == 0 {
			if base := uint64(1) << (10 + b[5]>>3); base+base/8*uint64(b[5]&7) > largeWindow {
				return "a large window"
			}
		}
	}
	return ""
}

// xzLacks reads the stream's header and the first block's (xz-file-format.txt,
// 2.1.1 and 3.1).
func xzLacks(b []byte) string {
	if len(b) < 16 {
		return ""
	}
	switch check := b[7] & 0x0f; check {
	case 0, 1:
	case 4:
		return "the check CRC64"
	default:
		return fmt.Sprintf("the check %d of xz", check)
	}
	const block = 12
	if b[block] == 0 {
		return "" // nothing in it
	}
	filters, at := int(b[block+1]&3)+1, block+2
	number := func() (v uint64) {
		for shift := 0; at < len(b) && shift < 63; shift += 7 {
			c := b[at]
			at++
			if v |= uint64(c&0x7f) << shift; c&0x80 == 0 {
				return v
			}
		}
		return v
	}
	for _, size := range []byte{0x40, 0x80} { // compressed, uncompressed
		if b[block+1]&size != 0 {
			number()
		}
	}
	if filters > 1 {
		return "a filter before LZMA2"
	}
	if id, size := number(), number(); id != 0x21 || size != 1 || at >= len(b) {
		return "another filter than LZMA2"
	}
	if d := uint(b[at] & 0x3f); uint64(2|d&1)<<(d/2+11) > largeWindow {
		return "a large dictionary"
	}
	return ""
}
