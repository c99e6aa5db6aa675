// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/limits"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// NameInside decompresses a file and reads the name in it. What cannot be
// decompressed cannot be loaded either, and the load says so.
func NameInside(fd int, unpack finit.Unpacker) (string, bool) {
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

// nameModule finds which module a thread loads.
func (s *Snapshot) nameModule(t *Task) {
	if t.Kind == proc.InitModule {
		t.Module, _ = s.Proc.ImageName(t.PID, t.Call.Args[0], t.Call.Args[1])
		return
	}
	fd := int(int32(t.Call.Args[0]))
	f, err := s.Proc.File(t.PID, fd)
	if err != nil {
		return
	}
	t.File = f
	id := registry.Inode{Dev: f.Dev, Ino: f.Ino}
	name, known := s.names[id]
	if !known {
		if h, _, err := s.Proc.OpenFile(t.PID, fd); err == nil {
			s.Proc.Ask(t.PID, func() { name, known = proc.NameIn(h) })
			unix.Close(h)
		}
		if known {
			s.names[id] = name
		} else {
			name, t.guessed = proc.ModuleName(f.Path), true
		}
	}
	t.Module = name
}

// shareNames gives to those who load a file that could not be read the name that an
// invocation of ours has read in it.
func (s *Snapshot) shareNames() {
	for _, e := range s.Entries {
		if e.File != (registry.Inode{}) {
			s.names[e.File] = e.Module
		}
	}
	for _, t := range s.Tasks {
		if !t.guessed {
			continue
		}
		if name, ok := s.names[registry.Inode{Dev: t.File.Dev, Ino: t.File.Ino}]; ok {
			t.Module, t.guessed = name, false
		}
	}
}

// unpackNames reads the names in the compressed files of others, when there is a
// module coming that nobody seems to load.
func (s *Snapshot) unpackNames(unpack finit.Unpacker) {
	var guessed []*Task
	for _, t := range s.Tasks {
		if t.guessed && !s.Coming[t.Module] {
			guessed = append(guessed, t)
		}
	}
	if len(guessed) == 0 || !s.hasUnnamedLoad() {
		return
	}
	for _, t := range guessed {
		id := registry.Inode{Dev: t.File.Dev, Ino: t.File.Ino}
		name, known := s.names[id]
		if !known {
			var read bool
			if name, read = s.nameInsideOf(t, unpack); read {
				s.names[id] = name // once is enough
			}
		}
		t.Module = name
	}
}

// nameInsideOf is the name in the compressed file that a task loads, or else what
// the file's own name says. read is false where the file could not be read now,
// and may be later: whoever loads it is held, or there is no memory for a copy.
func (s *Snapshot) nameInsideOf(t *Task, unpack finit.Unpacker) (name string, read bool) {
	h, _, err := s.Proc.OpenFile(t.PID, int(int32(t.Call.Args[0])))
	if err != nil {
		return t.Module, false
	}
	defer unix.Close(h)
	copied, err := s.copyFile(t.PID, h)
	if err != nil {
		return t.Module, err == unix.EFBIG
	}
	defer unix.Close(copied)
	if name, ok := NameInside(copied, unpack); ok {
		return name, true
	}
	return t.Module, true
}

// copyMost bounds what is copied of others' files.
const copyMost = 64 << 20

// copyFile is a file of another's in our memory: whoever has it may hold up who
// reads it, and to decompress it takes its time (see [proc.FS.Bounded]). EFBIG: it
// is too long for that.
func (s *Snapshot) copyFile(pid, h int) (fd int, err error) {
	fd, err = unix.MemfdCreate("module", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, err
	}
	buf := make([]byte, 64<<10)
	for size := 0; size < copyMost; {
		n, err := 0, proc.ErrHeld
		s.Proc.Ask(pid, func() { n, err = unix.Pread(h, buf, int64(size)) })
		if err == nil && n == 0 {
			return fd, nil
		}
		if err == nil {
			if err = limits.FileSize(int64(size + n)); err == nil {
				_, err = unix.Pwrite(fd, buf[:n], int64(size))
			}
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		size += n
	}
	unix.Close(fd)
	return -1, unix.EFBIG
}

// hasUnnamedLoad tells whether a module is coming that no task is known to load.
func (s *Snapshot) hasUnnamedLoad() bool {
	for _, name := range s.Proc.Loading() {
		loads := false
		for _, t := range s.Tasks {
			loads = loads || t.Module == name
		}
		if !loads {
			return true
		}
	}
	return false
}

// NameLoaders names our own module to those who load the same file.
func (s *Snapshot) NameLoaders(file registry.Inode, module string) {
	for _, t := range s.Tasks {
		if t.Module != "" && file != (registry.Inode{}) && file == (registry.Inode{Dev: t.File.Dev, Ino: t.File.Ino}) {
			t.Module = module
		}
	}
}
