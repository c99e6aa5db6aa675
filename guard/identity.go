// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"

	"golang.org/x/sys/unix"

	"safeload/internal/observe"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// The fifth step of a load: the file is opened, and says which module it is. Before
// it internal/modload/load.go has called [Guard.Submit]; after it submit.go asks
// whether that module is coming.
//
// A file's name says nothing of the module in it: nvidia-current.ko holds
// nvidia, and a file has as many paths as it has links and mounts. Two loads are
// of one module when the kernel calls it by one name, which stands in the file,
// or when they are of one file. Everything that compares loads takes both from
// here.

// Load is one module about to be given to the kernel.
type Load struct {
	Module string // by the file's name, in the kernel's spelling, with '_'
	Path   string // the file to be submitted

	file  registry.Inode // what Path led to
	named bool           // Module is what stands in the file, not the file's own name
}

// entry is what an invocation says of a load.
func (l *Load) entry(state string) registry.Entry {
	e := registry.Entry{State: state, Module: l.Module, Path: l.Path}
	if l.named {
		e.File = l.file
	}
	return e
}

// identified returns the load with the name by which the kernel will know its
// module, as far as the file tells it without being decompressed.
func identified(l Load) Load {
	fd, err := unix.Open(l.Path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return l // and so fails the load
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return l
	}
	l.file = registry.Inode{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}
	if name, ok := proc.NameIn(fd); ok {
		l.Module, l.named = name, true
	}
	return l
}

// unpacked returns the load with the name that a compressed file has inside,
// when that is of a module that is coming. To decompress a file costs as much as
// to load it, and is of use only while another module's init runs: so it is left
// alone when none does, and when nobody above us can be waiting for us.
func (g *Guard) unpacked(l Load) (Load, bool) {
	p, err := proc.OpenProc()
	if err != nil {
		return l, false
	}
	defer p.Close()
	coming := p.Loading()
	if len(coming) == 0 {
		return l, false
	}
	g.self.Identify()
	c := &contest{g: g, l: l, proc: p}
	if c.apart() {
		return l, false
	}
	fd, err := unix.Open(l.Path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return l, false
	}
	defer unix.Close(fd)
	if name, ok := observe.NameInside(fd, g.o.Unpack); ok {
		l.Module, l.named = name, true
	}
	return l, l.named && slices.Contains(coming, l.Module)
}
