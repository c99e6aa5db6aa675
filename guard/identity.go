// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard/registry"
	"safeload/internal/proc"
)

// A file's name says nothing of the module in it: nvidia-current.ko holds
// nvidia, and a file has as many paths as it has links and mounts. Two loads are
// of one module when the kernel calls it by one name, which stands in the file,
// or when they are of one file. Everything that compares loads takes both from
// here.

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
	independent := false
	c := &contest{g: g, l: l, proc: p}
	c.bounded(func(c *contest) { independent = c.independent() })
	if independent {
		return l, false
	}
	fd, err := unix.Open(l.Path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return l, false
	}
	defer unix.Close(fd)
	if name, ok := nameInside(fd, g.o.Unpack); ok {
		l.Module, l.named = name, true
	}
	return l, l.named && slices.Contains(coming, l.Module)
}

// nameInside decompresses a file and reads the name in it. What cannot be
// decompressed cannot be loaded either, and the load says so.
func nameInside(fd int, unpack finit.Unpacker) (string, bool) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", false
	}
	if format, err := finit.Sniff(fd); err != nil || format == finit.Plain {
		return "", false // read, as far as it can be
	}
	image, err := finit.Loader{Unpack: unpack}.ContentsOf(fd)
	if err != nil {
		return "", false
	}
	defer finit.Unmap(image)
	return proc.NameOf(image)
}

// identify finds which module a thread loads.
func (s *snapshot) identify(t *task) {
	if t.kind == proc.InitModule {
		t.module, _ = s.proc.ImageName(t.pid, t.call.Args[0], t.call.Args[1])
		return
	}
	fd := int(int32(t.call.Args[0]))
	f, err := s.proc.File(t.pid, fd)
	if err != nil {
		return
	}
	t.file = f
	id := registry.Inode{Dev: f.Dev, Ino: f.Ino}
	name, known := s.names[id]
	if !known {
		if h, _, err := s.proc.OpenFile(t.pid, fd); err == nil {
			s.proc.Ask(t.pid, func() { name, known = proc.NameIn(h) })
			unix.Close(h)
		}
		if known {
			s.names[id] = name
		} else {
			name, t.guessed = proc.ModuleName(f.Path), true
		}
	}
	t.module = name
}

// share gives to those who load a file that could not be read the name that an
// invocation of ours has read in it.
func (s *snapshot) share() {
	for _, e := range s.entries {
		if e.File != (registry.Inode{}) {
			s.names[e.File] = e.Module
		}
	}
	for _, t := range s.tasks {
		if !t.guessed {
			continue
		}
		if name, ok := s.names[registry.Inode{Dev: t.file.Dev, Ino: t.file.Ino}]; ok {
			t.module, t.guessed = name, false
		}
	}
}

// unpack reads the names in the compressed files of others, when there is a
// module coming that nobody seems to load.
func (s *snapshot) unpack(unpack finit.Unpacker) {
	var guessed []*task
	for _, t := range s.tasks {
		if t.guessed && !s.coming[t.module] {
			guessed = append(guessed, t)
		}
	}
	if len(guessed) == 0 || !s.orphan() {
		return
	}
	for _, t := range guessed {
		id := registry.Inode{Dev: t.file.Dev, Ino: t.file.Ino}
		name, known := s.names[id]
		if !known {
			name = t.module // once is enough
			if h, _, err := s.proc.OpenFile(t.pid, int(int32(t.call.Args[0]))); err == nil {
				if copied, ok := s.copied(t.pid, h); ok {
					if n, ok := nameInside(copied, unpack); ok {
						name = n
					}
					unix.Close(copied)
				}
				unix.Close(h)
			}
			s.names[id] = name
		}
		t.module = name
	}
}

// copyMost bounds what is copied of others' files.
const copyMost = 64 << 20

// copied is a file of another's in our memory: whoever has it may hold up who
// reads it, and to decompress it takes its time (see [proc.FS.Bounded]).
func (s *snapshot) copied(pid, h int) (fd int, ok bool) {
	fd, err := unix.MemfdCreate("module", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, false
	}
	buf := make([]byte, 64<<10)
	for size := 0; size < copyMost; {
		n, err := 0, proc.ErrHeld
		s.proc.Ask(pid, func() { n, err = unix.Pread(h, buf, int64(size)) })
		if err != nil {
			break
		}
		if n == 0 {
			return fd, true
		}
		if _, err := unix.Pwrite(fd, buf[:n], int64(size)); err != nil {
			break
		}
		size += n
	}
	unix.Close(fd)
	return -1, false
}

// orphan tells whether a module is coming that no task is known to load.
func (s *snapshot) orphan() bool {
	for _, name := range s.proc.Loading() {
		loads := false
		for _, t := range s.tasks {
			loads = loads || t.module == name
		}
		if !loads {
			return true
		}
	}
	return false
}

// alias names our own module to those who load the same file.
func (s *snapshot) alias(l Load) {
	for _, t := range s.tasks {
		if t.module != "" && l.file != (registry.Inode{}) && l.file == (registry.Inode{Dev: t.file.Dev, Ino: t.file.Ino}) {
			t.module = l.Module
		}
	}
}
