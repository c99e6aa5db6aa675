// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package nowhere

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/internal/syntax"
)

// inNoConfig tells whether no file of the configuration has anything for the
// name, and kmod would complain of none.
func (q *question) inNoConfig(tree int) bool {
	if tree != noTree &&
		(!q.inNoFile(tree, cpath("modules.softdep\x00")) || !q.inNoFile(tree, cpath("modules.weakdep\x00"))) {
		return false
	}
	used := 0
	if q.config != nil {
		return q.inNoDirectory(q.config, &used)
	}
	// As kmod.ConfigDirs.
	return q.inNoDirectory(cpath("/etc/modprobe.d\x00"), &used) &&
		q.inNoDirectory(cpath("/run/modprobe.d\x00"), &used) &&
		q.inNoDirectory(cpath("/usr/local/lib/modprobe.d\x00"), &used) &&
		q.inNoDirectory(cpath("/usr/lib/modprobe.d\x00"), &used) &&
		q.inNoDirectory(cpath("/lib/modprobe.d\x00"), &used)
}

// inNoDirectory reads a directory's files. The entries of those before it fill
// the first *used bytes of scratch.entries: a file that has the name of one of
// theirs does not count.
func (q *question) inNoDirectory(path *byte, used *int) bool {
	fd := open(atFDCWD, path, unix.O_DIRECTORY)
	if fd < 0 {
		return fd == enoent
	}
	before := *used
	ok := list(fd, used) && q.inNoEntry(fd, before, *used)
	closeFD(fd)
	return ok
}

// list adds the entries of a directory to those in scratch.entries.
func list(fd int, used *int) bool {
	const room = 512 // for the longest entry
	for {
		if len(scratch.entries)-*used < room {
			return false
		}
		n := getdents(fd, scratch.entries[*used:])
		if n <= 0 {
			return n == 0
		}
		*used += n
	}
}

// inNoEntry reads the files of the entries from start to end.
func (q *question) inNoEntry(dir, start, end int) bool {
	for at := start; at < end; {
		e, ok := entryAt(at, end)
		if !ok {
			return false
		}
		at += e.size
		if !e.isConf() || e.kind == unix.DT_REG && hides(start, e.name) {
			continue
		}
		// kmod complains of a directory, and of a link that leads nowhere.
		fd := open(dir, unsafe.StringData(e.name), 0)
		if fd < 0 || !q.inNoLine(fd) {
			return false
		}
	}
	return true
}

// entry is a struct linux_dirent64.
type entry struct {
	name string // NUL follows it
	kind byte
	size int
}

// Offsets of it, the same on all architectures.
const (
	direntReclen = 16
	direntType   = 18
	direntName   = 19
)

func entryAt(at, end int) (e entry, ok bool) {
	if at+direntName >= end {
		return e, false
	}
	b := scratch.entries[at:end]
	e.size = int(b[direntReclen]) | int(b[direntReclen+1])<<8
	if e.size <= direntName || e.size > len(b) {
		return e, false
	}
	e.kind = b[direntType]
	e.name, _, ok = syntax.CString(b[direntName:e.size])
	return e, ok
}

func (e *entry) isConf() bool {
	const end = ".conf"
	n := len(e.name) - len(end)
	return n > 0 && e.name[0] != '.' && e.name[n:] == end
}

// hides tells whether one of the entries before end has the name.
func hides(end int, name string) bool {
	for at := 0; at < end; {
		e, ok := entryAt(at, end)
		if !ok {
			break
		}
		if same(e.name, name) {
			return true
		}
		at += e.size
	}
	return false
}

// inNoFile is inNoLine of a file that need not be there.
func (q *question) inNoFile(dir int, name *byte) bool {
	fd := open(dir, name, 0)
	if fd < 0 {
		return fd == enoent
	}
	return q.inNoLine(fd)
}

// inNoLine tells whether each line of a file is understood, and none has
// anything for the name. It closes fd.
func (q *question) inNoLine(fd int) bool {
	data, ok := plain(fd)
	closeFD(fd)
	if !ok {
		return false
	}
	lines := syntax.Lines{Data: data}
	for {
		line, more := lines.Next()
		if !more {
			return true
		}
		if len(line) != 0 && line[0] != '#' && !q.notIn(line) {
			return false
		}
	}
}

// notIn tells whether a line of the configuration is right, as
// kmod.Config.directive has it, and finds nothing for the name.
func (q *question) notIn(line []byte) bool {
	command, rest := syntax.Word(line)
	if len(command) == 0 {
		return true
	}
	name, rest := syntax.Word(rest)
	if len(name) == 0 || !syntax.Underscores(name) {
		return false
	}
	is := syntax.Text(command)
	switch {
	case same(is, "alias"):
		target, _ := syntax.Word(rest)
		return len(target) != 0 && syntax.Underscores(target) && !syntax.Fnmatch(syntax.Text(name), q.key)
	case same(is, "blacklist"):
		return true
	case same(is, "options"), same(is, "softdep"), same(is, "weakdep"):
		return len(rest) != 0
	case same(is, "install"), same(is, "remove"):
		return len(rest) != 0 && !same(syntax.Text(name), q.key)
	}
	return false
}

// plainCmdline tells whether kmod cannot complain of the kernel's command line:
// it does so of a module's name whose brackets do not pair.
func plainCmdline() bool {
	fd := open(atFDCWD, cpath("/proc/cmdline\x00"), 0)
	if fd < 0 {
		return true // kmod says nothing of that
	}
	n := read(fd, scratch.file[:])
	closeFD(fd)
	if n < 0 || n == len(scratch.file) {
		return false
	}
	for _, c := range scratch.file[:n] {
		if c == '[' || c == ']' {
			return false
		}
	}
	return true
}
