// SPDX-License-Identifier: Apache-2.0

// Package program tells whether the kernel could start a file, without starting
// it. To try it is no way to find out where the file is the kernel's own helper:
// for a format that it does not know the kernel asks for a module (binfmt-464c,
// search_binary_handler in fs/exec.c; seen on 6.1 and 6.12, later kernels may not),
// which means to start the helper, which is that file: 50 requests, one within the
// other.
package program

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"safeload/internal/elfhead"
	"safeload/internal/treefile"
)

// ErrFormat: the kernel has no loader for the file.
var ErrFormat = errors.New("the kernel does not know its format")

// System is what a program is to be started by.
type System struct {
	// Resolve follows all links of a path of the system, and returns a file of
	// the machine that runs.
	Resolve func(path string) string
	// Machines that its kernel starts programs of; empty: not known.
	Machines []elf.Machine
	// Mounted says that its file systems are mounted as they will be.
	Mounted bool
}

// interpreters is how many the kernel follows (exec_binprm in fs/exec.c).
const interpreters = 5

// Check returns why the kernel could not start the program at path, or nil if
// nothing speaks against it.
func (s System) Check(path string) error { return s.check(path, interpreters) }

func (s System) check(path string, depth int) error {
	file := s.Resolve(path)
	fi, err := os.Stat(file)
	switch {
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("it is no regular file (%v)", fi.Mode().Type())
	case fi.Mode()&0o111 == 0:
		return fmt.Errorf("nobody may execute it (mode %04o)", fi.Mode().Perm())
	}
	if s.Mounted {
		if err := NoExec(file); err != nil {
			return err
		}
	}
	f, err := treefile.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [256]byte // BINPRM_BUF_SIZE
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return err
	}
	if line, script := bytes.CutPrefix(head[:n], []byte("#!")); script {
		return s.script(line, depth)
	}
	interp, err := s.elf(f, head[:n], fi.Size())
	if err != nil || interp == "" {
		return err
	}
	return s.loader(interp)
}

// NoExec fails if the file system of a file lets nothing be executed.
func NoExec(file string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(file, &st); err == nil && st.Flags&unix.ST_NOEXEC != 0 {
		return errors.New("its file system is mounted noexec")
	}
	return nil
}

// script looks at the interpreter that a first line names.
func (s System) script(line []byte, depth int) error {
	line, _, _ = bytes.Cut(line, []byte("\n"))
	fields := bytes.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == 0 })
	if len(fields) == 0 {
		return fmt.Errorf("its first line names no interpreter: %w", ErrFormat)
	}
	if depth == 0 {
		return errors.New("its interpreters are scripts, one within the other, deeper than the kernel follows")
	}
	interp := string(fields[0])
	if err := s.check(interp, depth-1); err != nil {
		return within("it is a script, and its interpreter "+interp+" cannot be started", err)
	}
	return nil
}

// within says what of a program an error is about. That something it needs is
// not there does not mean that it is not.
func within(what string, err error) error {
	if errors.Is(err, ErrFormat) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %v", what, err)
}

// loader looks at the dynamic loader that a program names (load_elf_binary in
// fs/binfmt_elf.c).
func (s System) loader(path string) error {
	file := s.Resolve(path)
	fail := func(err error) error { return within("its dynamic loader "+path+" cannot be used", err) }
	fi, err := os.Stat(file)
	switch {
	case err != nil:
		return fail(err)
	case !fi.Mode().IsRegular():
		return fail(errors.New("it is no regular file"))
	case fi.Mode()&0o111 == 0:
		return fail(fmt.Errorf("nobody may execute it (mode %04o)", fi.Mode().Perm()))
	}
	f, err := treefile.Open(file)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	var head [64]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return fail(err)
	}
	if _, err := s.elf(f, head[:n], fi.Size()); err != nil {
		return fail(err)
	}
	return nil
}

// elf looks at the headers as load_elf_binary does, and returns the dynamic
// loader that they name, if any.
func (s System) elf(f io.ReaderAt, head []byte, size int64) (interp string, err error) {
	const most = 64 // program headers: the kernel takes a page of them
	h, ok := elfhead.Read(head)
	if !ok {
		return "", fmt.Errorf("it is neither an ELF program nor a script: %w", ErrFormat)
	}
	kind, machine := elf.Type(h.Type), elf.Machine(h.Machine)
	if len(s.Machines) > 0 && (h.Big() || !slices.Contains(s.Machines, machine)) {
		return "", fmt.Errorf("it is for %s, and the kernel starts programs for %s: %w", name(machine), names(s.Machines), ErrFormat)
	}
	if kind != elf.ET_EXEC && kind != elf.ET_DYN {
		return "", fmt.Errorf("it is no ELF program (%v): %w", kind, ErrFormat)
	}
	t := h.Segments
	if t.Each != h.SegmentSize() || t.Count == 0 || t.Count > most {
		return "", fmt.Errorf("its program headers are damaged: %w", ErrFormat)
	}
	table := make([]byte, t.Each*t.Count)
	if t.At > 1<<62 || int64(t.At) > size-int64(len(table)) {
		return "", errShort(size)
	}
	if _, err := f.ReadAt(table, int64(t.At)); err != nil {
		return "", err
	}
	for i := range t.Count {
		seg := h.Segment(table[i*t.Each:])
		off, length, kind := seg.Offset, seg.Size, elf.ProgType(seg.Type)
		if kind != elf.PT_LOAD && kind != elf.PT_INTERP {
			continue
		}
		if end := off + length; end < off || end > uint64(size) {
			return "", errShort(size)
		}
		if kind == elf.PT_INTERP {
			if length < 2 || length > 4096 {
				return "", fmt.Errorf("the name of its dynamic loader is damaged: %w", ErrFormat)
			}
			b := make([]byte, length)
			if _, err := f.ReadAt(b, int64(off)); err != nil {
				return "", err
			}
			path, _, _ := strings.Cut(string(b), "\x00")
			interp = path
		}
	}
	return interp, nil
}

func errShort(size int64) error {
	return fmt.Errorf("it is cut short, at %d bytes", size)
}

// Machines are those that the running kernel starts programs of; none where that
// is not known. Those of 32 bits on a kernel of 64 it may have been built without.
func Machines() []elf.Machine {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return nil
	}
	// PER_LINUX32 (setarch(8)) makes uname(2) tell another machine.
	if p, _, errno := unix.Syscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0); errno != 0 || p&0xff == 0x08 {
		return nil
	}
	switch m := unix.ByteSliceToString(u.Machine[:]); {
	case m == "x86_64":
		return []elf.Machine{elf.EM_X86_64, elf.EM_386}
	case m == "aarch64":
		return []elf.Machine{elf.EM_AARCH64, elf.EM_ARM}
	case strings.HasPrefix(m, "arm") && strings.HasSuffix(m, "l"):
		return []elf.Machine{elf.EM_ARM}
	case len(m) == 4 && m[0] == 'i' && m[2:] == "86":
		return []elf.Machine{elf.EM_386}
	}
	return nil
}

func name(m elf.Machine) string { return strings.TrimPrefix(m.String(), "EM_") }

func names(all []elf.Machine) string {
	var list []string
	for _, m := range all {
		list = append(list, name(m))
	}
	return strings.Join(list, " and ")
}
