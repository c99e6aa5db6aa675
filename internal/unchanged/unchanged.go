// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

// Package unchanged answers depmod -A where no module is newer than modules.dep: what a package manager asks, mostly in
// vain. It does so while it is initialised and ends the process: the packages of all the other commands take as long to be
// initialised as a look at five hundred modules.
//
// It imports next to nothing, so that it is initialised before these: packages are initialised in the order of their paths as
// soon as all that they import is (Go specification, Program initialization). TestUnchanged of cmd/safeload holds it to that.
// Whatever is not as simple, or is to be said something about, is left to package depmod: a module that is newer, a link,
// options but -a, -A and -b.
package unchanged

import (
	"syscall"
	_ "unsafe" // for go:linkname

	"safeload/internal/dirents"
	"safeload/internal/syntax"
)

//go:linkname args os.runtime_args
func args() []string

func init() {
	if answered(args()) {
		syscall.Exit(0)
	}
}

// longest is far below PATH_MAX, and beyond any path in a tree.
const longest = 2048

// answered tells whether these are the arguments of a depmod that has nothing to do.
func answered(argv []string) bool {
	argv, ok := called(argv)
	if !ok {
		return false
	}
	root, version, ok := parse(argv)
	if !ok {
		return false
	}
	if version == "" {
		version = release()
	}
	path := root + "/lib/modules/" + version
	if version == "" || len(path) > longest {
		return false
	}
	d, err := dirents.Open(path)
	if err != nil {
		return false
	}
	defer d.Close()
	var st syscall.Stat_t
	if d.Stat(dirents.Named("modules.dep"), &st) != nil {
		return false
	}
	l := look{than: st.Mtim}
	return l.older(d, len(path), 0)
}

// called returns the arguments of depmod, if the program is called so, or is safeload and called with that word.
func called(argv []string) ([]string, bool) {
	if len(argv) == 0 {
		return nil, false
	}
	name := argv[0]
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			name = name[i+1:]
			break
		}
	}
	if name == "depmod" {
		return argv[1:], true
	}
	if name == "safeload" && len(argv) > 1 && argv[1] == "depmod" {
		return argv[2:], true
	}
	return nil, false
}

// parse reads -A, -a, -b with a path that is absolute, and behind them a version. ok is false if there is anything else, or no -A.
func parse(argv []string) (root, version string, ok bool) {
	for i := 0; i < len(argv); i++ {
		switch arg := argv[i]; {
		case arg == "" || version != "":
			return "", "", false
		case arg == "-A" || arg == "--quick":
			ok = true
		case arg == "-a" || arg == "--all":
		case arg == "-b" || arg == "--basedir":
			if i++; i == len(argv) || argv[i] == "" || argv[i][0] != '/' {
				return "", "", false
			}
			root = argv[i]
		case arg[0] == '-' || !numbered(arg):
			return "", "", false
		default:
			version = arg
		}
	}
	return root, version, ok
}

// numbered tells whether a version begins with two numbers, as depmod wants it, and is no path.
func numbered(version string) bool {
	digit := func(i int) bool { return i < len(version) && version[i] >= '0' && version[i] <= '9' }
	i := 0
	for digit(i) {
		i++
	}
	if i == 0 || i > 9 || i == len(version) || version[i] != '.' || !digit(i+1) {
		return false
	}
	for ; i < len(version); i++ {
		if version[i] == '/' || version[i] == 0 {
			return false
		}
	}
	return true
}

// release is the running kernel's, or nothing if it cannot be known.
func release() string {
	var u syscall.Utsname
	if syscall.Uname(&u) != nil {
		return ""
	}
	b := make([]byte, 0, len(u.Release))
	for _, c := range u.Release {
		if c == 0 || c == '/' {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

// look is one at a tree.
type look struct {
	than    syscall.Timespec
	buffers dirents.Buffers
}

// older tells whether all modules of a directory, whose path is so long, and of those below it are as old. It is false if
// there is anything about which depmod has a word to say.
func (l *look) older(d dirents.Dir, length, level int) bool {
	for e := range l.buffers.Entries(d, level) {
		if e.Name == "build" || e.Name == "source" {
			continue
		}
		switch e.Kind {
		case dirents.Regular:
			var st syscall.Stat_t
			if syntax.ModuleExt(e.Name) && (d.Stat(e, &st) != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || dirents.Newer(st.Mtim, l.than)) {
				return false
			}
		case dirents.Directory:
			length := length + len("/") + len(e.Name)
			if length > longest {
				return false
			}
			sub, err := d.Open(e)
			if err != nil {
				return false
			}
			older := l.older(sub, length, level+1)
			sub.Close()
			if !older {
				return false
			}
		default:
			return false
		}
	}
	return true
}
