// SPDX-License-Identifier: Apache-2.0

package kmod

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// Longest name, alias or path that libkmod keeps (PATH_MAX without the NUL).
const maxName = 4095

// NormalizeName returns a module's name as the kernel spells it: '-' becomes '_',
// and the first '.' and all behind it are dropped.
func NormalizeName(name string) string {
	end, dash := len(name), false
	for i := 0; i < len(name); i++ {
		if name[i] == '.' || i == maxName {
			end = i
			break
		}
		dash = dash || name[i] == '-'
	}
	name = name[:end]
	if !dash {
		return name
	}
	b := []byte(name)
	for i, c := range b {
		if c == '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

// NormalizeAlias returns an alias as depmod writes it: '-' becomes '_' except inside
// brackets. It cuts a name that is too long, and returns EINVAL if the brackets of
// what is left do not pair.
func NormalizeAlias(alias string) (string, error) {
	var b []byte
	for i := 0; i < len(alias) && i < maxName; i++ {
		switch alias[i] {
		case '-':
			if b == nil {
				b = []byte(alias)
			}
			b[i] = '_'
		case ']':
			return "", syscall.EINVAL
		case '[':
			for i < len(alias) && alias[i] != ']' {
				i++
			}
			if i >= maxName || i == len(alias) {
				return "", syscall.EINVAL
			}
		}
	}
	if b != nil {
		alias = bstr(b)
	}
	if len(alias) > maxName {
		alias = alias[:maxName]
	}
	return alias, nil
}

// base is basename(3) of glibc: what follows the last slash, empty for a path
// that ends in one.
func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// ModuleExt reports whether path ends as a module file does.
func ModuleExt(path string) bool { return syntax.ModuleExt(path) }

// Cwd is get_current_dir_name(3), by which libkmod's path_make_absolute_cwd
// goes: the working directory by the name in $PWD, which may lead over links,
// if that is it, else by the kernel's.
func Cwd(environ []string) (string, error) {
	const pwd = "PWD="
	for _, kv := range environ {
		if len(kv) < len(pwd) || kv[:len(pwd)] != pwd {
			continue
		}
		var here, there unix.Stat_t
		if unix.Stat(".", &here) == nil && unix.Stat(kv[len(pwd):], &there) == nil &&
			here.Dev == there.Dev && here.Ino == there.Ino {
			return kv[len(pwd):], nil
		}
		break
	}
	return unix.Getwd()
}

// Fnmatch reports whether name matches pattern as fnmatch(3) of glibc does
// with no flags in the C locale: '*', '?', bracket expressions with ranges,
// classes and negation by '!' or '^', and a backslash that takes the next
// character literally. A bracket without an end stands for itself.
//
// It needs time proportional to the product of both lengths at most, whatever
// the pattern.
func Fnmatch(pattern, name string) bool { return syntax.Fnmatch(pattern, name) }
