// SPDX-License-Identifier: Apache-2.0

package modfile

import "syscall"

// Info is one line of a module's information.
type Info struct {
	Key, Value string
}

// Info returns the lines of section .modinfo.
func (f *File) Info() ([]Info, error) {
	b, ok := f.part(secModinfo)
	if !ok {
		return nil, syscall.ENODATA
	}
	return ParseInfo(b), nil
}

// ParseInfo splits key=value strings ended by NULs; empty ones do not count. A
// string without '=' is a key with itself as the value, as in libkmod.
func ParseInfo(b []byte) (list []Info) {
	for len(b) > 0 {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		s := cstring(b)
		b = b[len(s):]
		list = append(list, splitInfo(s))
	}
	return list
}

func splitInfo(s string) Info {
	for i := 0; i < len(s); i++ {
		if s[i] == '=' {
			return Info{s[:i], s[i+1:]}
		}
	}
	return Info{s, ""}
}

// BuiltinInfo returns the lines of one module in modules.builtin.modinfo, which
// holds module.key=value strings ended by NULs. EINVAL for a string without a
// module before the module's own.
func BuiltinInfo(data []byte, module string) (list []Info, err error) {
	for len(data) > 0 {
		s := cstring(data)
		if len(s) == len(data) {
			data = nil
		} else {
			data = data[len(s)+1:]
		}
		dot := 0
		for dot < len(s) && s[dot] != '.' {
			dot++
		}
		if dot == len(s) {
			return nil, syscall.EINVAL
		}
		if s[:dot] != module {
			if list != nil {
				break // a module's strings stand together
			}
			continue
		}
		list = append(list, splitInfo(s[dot+1:]))
	}
	return list, nil
}
