// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package nowhere

import (
	"unsafe"

	"safeload/internal/syntax"
)

// scratch is all memory that this package writes to, besides its stack. Files
// and entries touch no more pages of it than they fill.
var scratch struct {
	// The entry's own, at offsets that it knows: the stack pointer and rdx as
	// they were, and what was done before about the signals of a fault.
	sp, dx uintptr
	given  [5 * 32]byte

	key     [128]byte
	path    [256]byte
	node    [syntax.NodeSize]byte
	entries [32 << 10]byte
	file    [64 << 10]byte
}

// question is what the process was asked, with paths as C strings.
type question struct {
	key     string // the name, as an alias is spelt
	root    string // -d, else empty
	version string // -S, else empty: the running kernel's
	config  *byte  // -C, else nil
}

// answer ends the process with 1 if it was asked, by arguments as the kernel
// gives them, to load quietly a module that exists nowhere. Otherwise it
// returns and nothing has happened. sp points to argc, as at a process's start.
//
//lint:ignore U1000 start, in assembly, calls it
func answer(sp unsafe.Pointer) {
	q, ok := asked(sp)
	if !ok {
		return
	}
	plant(q.key)
	if q.nowhere() {
		exit(1)
	}
}

const word = unsafe.Sizeof(uintptr(0))

// asked reads the arguments: -q, with -n, -C, -d and -S, which tests need, then
// one name. ok is false for any others.
func asked(sp unsafe.Pointer) (q question, ok bool) {
	const most = 16
	argc := *(*int)(sp)
	if argc < 3 || argc > most {
		return q, false
	}
	argv := (*[most]*byte)(unsafe.Add(sp, word))[:argc]
	name := base(cstring(argv[0]))
	if same(name, "insmod") || same(name, "rmmod") || same(name, "lsmod") || same(name, "modinfo") {
		return q, false
	}
	quiet, i := false, 1
options:
	for ; i < argc; i++ {
		arg := cstring(argv[i])
		switch arg {
		case "--":
			i++
			break options
		case "-q":
			quiet = true
			continue
		case "-n":
			continue
		case "-C", "-d", "-S":
		default:
			if arg == "" || arg[0] == '-' {
				return q, false
			}
			break options
		}
		if i++; i == argc {
			return q, false
		}
		value := cstring(argv[i])
		switch {
		case arg == "-d" && (value == "" || value[0] == '/'):
			q.root = value
		case value == "":
			return q, false
		case arg == "-C" && q.config == nil:
			q.config = argv[i]
		case arg == "-S":
			q.version = value
		default:
			return q, false
		}
	}
	if !quiet || i != argc-1 || !plainEnvironment(unsafe.Add(sp, word*uintptr(argc+2))) {
		return q, false
	}
	q.key, ok = key(cstring(argv[i]))
	return q, ok
}

// plainEnvironment tells whether no variable says how to look or to report.
func plainEnvironment(env unsafe.Pointer) bool {
	for {
		p := *(**byte)(env)
		if p == nil {
			return true
		}
		// Most variables are not read beyond their first character.
		if *p == 'M' || *p == 'K' {
			v := cstring(p)
			if starts(v, "MODPROBE_OPTIONS") || starts(v, "KMOD_LOG") {
				return false
			}
		}
		env = unsafe.Add(env, word)
	}
}

// key is a name as depmod spells aliases. One that is long, or that brackets or
// slashes make a special case, is not for this package.
func key(name string) (key string, ok bool) {
	if name == "" || len(name) > len(scratch.key) {
		return "", false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch c {
		case '-':
			c = '_'
		case '[', ']', '/':
			return "", false
		}
		scratch.key[i] = c
	}
	return syntax.Text(scratch.key[:len(name)]), true
}

// nowhere tells whether the name is certainly in no index, no line of the
// configuration knows it, and there is none that would be complained of.
func (q *question) nowhere() bool {
	tree, ok := q.tree()
	if !ok {
		return false
	}
	ok = q.inNoIndex(tree) && q.inNoConfig(tree) && plainCmdline()
	if tree != noTree {
		closeFD(tree)
	}
	return ok
}

// cstring views the C string at p.
func cstring(p *byte) string {
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return unsafe.String(p, n)
}

func starts(s, with string) bool { return len(s) >= len(with) && same(s[:len(with)], with) }

// same compares strings, and put copies one, as the operators do by functions of
// the runtime: each of those is in another part of the program, and to touch one
// costs as much as eight system calls.
func same(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func put(to []byte, s string) {
	for i := 0; i < len(s) && i < len(to); i++ {
		to[i] = s[i]
	}
}

// base is what follows the last slash.
func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

// cpath is the C string in a constant that ends with NUL.
func cpath(constant string) *byte { return unsafe.StringData(constant) }
