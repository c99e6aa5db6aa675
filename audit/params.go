// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
)

// paramVar is memory that holds the value of a module parameter.
type paramVar struct {
	name string
	sec  int32
	off  int64
	size int64
}

// readParams finds the variables of module_param: struct kernel_param in the
// section __param (include/linux/moduleparam.h). A charp or number has its
// variable at arg, a string a struct kparam_string with length and buffer.
func (im *image) readParams() {
	w := im.word()
	argOff, size := 4*w, 5*w // name, mod, ops; perm, level, flags padded to a word; arg
	for i := range im.secs {
		if im.secs[i].name != "__param" {
			continue
		}
		for off := int64(0); off+size <= int64(len(im.secs[i].data)); off += size {
			im.spend(1)
			nameAt, ok := im.pointer(int32(i), off)
			arg, ok2 := im.pointer(int32(i), off+argOff)
			if !ok || !ok2 || arg.sec == 0 {
				continue
			}
			name, _ := im.text(nameAt)
			if _, after, dotted := strings.Cut(name, "."); dotted {
				name = after
			}
			im.params = append(im.params, paramVar{name, arg.sec, arg.off, w})
			ops, _ := im.pointer(int32(i), off+2*w)
			if ops.sec != 0 || im.syms[ops.sym].name != "param_ops_string" {
				continue
			}
			if buf, ok := im.pointer(arg.sec, arg.off+w); ok && buf.sec != 0 {
				if n := im.bytesAt(arg); len(n) >= 4 {
					im.params = append(im.params, paramVar{name, buf.sec, buf.off, int64(im.order.Uint32(n) & 0xffff)})
				}
			}
		}
	}
}

// param names the module parameter whose value lies at a place.
func (im *image) param(sec int32, off int64) (string, bool) {
	best := -1
	im.spend(len(im.params))
	for i, p := range im.params {
		// Of two the nearer: a small number is taken to be as wide as a pointer.
		if p.sec == sec && off >= p.off && off < p.off+p.size && (best < 0 || p.off > im.params[best].off) {
			best = i
		}
	}
	if best < 0 {
		return "", false
	}
	return im.params[best].name, true
}
