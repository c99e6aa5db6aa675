// SPDX-License-Identifier: Apache-2.0

package program

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/internal/program/programtest"
)

func TestCheck(t *testing.T) {
	root := t.TempDir()
	s := System{Resolve: func(p string) string { return filepath.Join(root, p) }, Machines: []elf.Machine{elf.EM_AARCH64, elf.EM_ARM}}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("ld.so", programtest.ELF(elf.EM_ARM, "", 0), 0o755)
	write("ld-x86.so", programtest.ELF(elf.EM_X86_64, "", 0), 0o755)
	write("sh", programtest.ELF(elf.EM_ARM, "/ld.so", 0), 0o755)
	write("again", "#!/again\n", 0o755)
	if err := unix.Mkfifo(filepath.Join(root, "pipe"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		mode       os.FileMode
		why        string // empty: it can be started
		format     bool
	}{
		{"arm", programtest.ELF(elf.EM_ARM, "", 0), 0o755, "", false},
		{"arm64", programtest.ELF(elf.EM_AARCH64, "", 0), 0o700, "", false},
		{"dynamic", programtest.ELF(elf.EM_ARM, "/ld.so", 0), 0o755, "", false},
		{"foreign", programtest.ELF(elf.EM_X86_64, "", 0), 0o755, "it is for X86_64", true},
		{"foreign of 32 bits", programtest.ELF(elf.EM_386, "", 0), 0o755, "it is for 386", true},
		{"no loader", programtest.ELF(elf.EM_ARM, "/ld-none.so", 0), 0o755, "dynamic loader /ld-none.so cannot be used", false},
		{"foreign loader", programtest.ELF(elf.EM_ARM, "/ld-x86.so", 0), 0o755, "dynamic loader /ld-x86.so cannot be used: it is for X86_64", true},
		{"loader is a pipe", programtest.ELF(elf.EM_ARM, "/pipe", 0), 0o755, "no regular file", false},
		{"cut short", programtest.ELF(elf.EM_ARM, "", 1), 0o755, "cut short", false},
		{"cut in the headers", programtest.ELF(elf.EM_ARM, "", 40), 0o755, "cut short", false},
		{"cut in the first", programtest.ELF(elf.EM_ARM, "", 90), 0o755, "neither", true},
		{"empty", "", 0o755, "neither", true},
		{"text", "echo\n", 0o755, "neither", true},
		{"module", strings.Replace(programtest.ELF(elf.EM_ARM, "", 0), "\x02\x00\x28\x00", "\x01\x00\x28\x00", 1), 0o755, "no ELF program", true},
		{"not executable", programtest.ELF(elf.EM_ARM, "", 0), 0o644, "nobody may execute it", false},
		{"script", "#! /sh -e\n", 0o755, "", false},
		{"script of a script", "#!/script\n", 0o755, "", false},
		{"script of nothing", "#!\n", 0o755, "names no interpreter", true},
		{"script of none", "#!/none", 0o755, "interpreter /none cannot be started", false},
		{"script of itself", "#!/again", 0o755, "deeper than the kernel follows", false},
	} {
		write(c.name, c.text, c.mode)
		err := s.Check("/" + c.name)
		switch {
		case c.why == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		case errors.Is(err, ErrFormat) != c.format:
			t.Errorf("%s: %v: of the format: %v", c.name, err, !c.format)
		case c.why != "" && errors.Is(err, os.ErrNotExist):
			t.Errorf("%s: %v passes for a program that is not there", c.name, err)
		}
	}
	for _, name := range []string{"/pipe", "/"} {
		if err := s.Check(name); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.Check("/nowhere"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nowhere: %v", err)
	}
	s.Machines = nil
	if err := s.Check("/foreign"); err != nil {
		t.Errorf("with no machine known: %v", err)
	}
}

// This program runs, so nothing speaks against it.
func TestCheckOurselves(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := System{Resolve: func(p string) string { return p }, Machines: Machines(), Mounted: true}
	for _, p := range []string{exe, "/bin/sh"} {
		if err := s.Check(p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
	if len(s.Machines) == 0 {
		t.Error("this kernel's machine is not known")
	}
}
