// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var applets = [...]string{"modprobe", "insmod", "rmmod", "lsmod", "modinfo"}

// prepare makes the chroots and the cases that run in them.
func prepare(kmod, ours, work string, trees []string) (roots map[string]string, cases []*testCase, err error) {
	if err := os.RemoveAll(work); err != nil {
		return nil, nil, err
	}
	var all []*tree
	for _, dir := range trees {
		t, err := readTree(dir)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, t)
	}
	roots = map[string]string{}
	for _, name := range [...]string{"empty", "rich", "odd"} {
		root := filepath.Join(work, name)
		roots[name] = root
		if err := makeRoot(root, kmod, ours, all); err != nil {
			return nil, nil, err
		}
	}
	if err := writeFiles(roots["rich"], richConfig(all)); err != nil {
		return nil, nil, err
	}
	odd, err := oddState(all[0])
	if err != nil {
		return nil, nil, err
	}
	if err := writeFiles(roots["odd"], odd); err != nil {
		return nil, nil, err
	}
	for i, t := range all {
		cases = append(cases, treeCases(t, "empty", i == 0)...)
		cases = append(cases, treeCases(t, "rich", false)...)
	}
	cases = append(cases, configCases(all[0])...)
	cases = append(cases, asTheKernel(cases)...)
	cases = append(cases, optionCases(all[0])...)
	cases = append(cases, appletCases(all)...)
	return roots, cases, nil
}

// makeRoot fills a chroot: the programs with their libraries, a shell, and the
// trees as links.
func makeRoot(root, kmod, ours string, trees []*tree) error {
	for _, d := range [...]string{"kmod", "ours", "bin", "proc", "sys/module", "etc", "tmp", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return err
		}
	}
	// As on Debian; kmod 30 knows /lib/modprobe.d but not /usr/lib/modprobe.d.
	for _, l := range [...]string{"lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(root, "usr", l), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+l, filepath.Join(root, l)); err != nil {
			return err
		}
	}
	if err := writeFiles(root, map[string]string{"proc/cmdline": "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet\n"}); err != nil {
		return err
	}
	// Of a kmod with a system of its own the libraries come first: they are
	// the newer ones, which do for the shell too.
	system := ""
	if st, err := os.Stat(kmod); err == nil && st.IsDir() {
		system, kmod = kmod, filepath.Join(kmod, "usr/bin/kmod")
		if err := copyLibraries(root, system); err != nil {
			return err
		}
	}
	for _, p := range [...]struct{ from, to string }{
		{kmod, "kmod/modprobe"}, {ours, "ours/modprobe"}, {"/bin/sh", "bin/sh"}, {"/bin/env", "bin/env"},
	} {
		if err := copyProgram(root, p.from, filepath.Join(root, p.to), p.from != kmod || system == ""); err != nil {
			return err
		}
	}
	for _, a := range applets[1:] {
		for _, d := range [...]string{"kmod", "ours"} {
			if err := os.Symlink("modprobe", filepath.Join(root, d, a)); err != nil {
				return err
			}
		}
	}
	for _, t := range trees {
		if err := linkTree(t.dir, filepath.Join(root, "lib/modules", t.version)); err != nil {
			return err
		}
	}
	return nil
}

var ldd = regexp.MustCompile(`(/\S+) \(0x`)

// copyLibraries copies the shared libraries of an unpacked system.
func copyLibraries(root, system string) error {
	for _, pattern := range [...]string{"usr/lib/*/*.so*", "usr/lib64/*.so*"} {
		list, err := filepath.Glob(filepath.Join(system, pattern))
		if err != nil {
			return err
		}
		for _, from := range list {
			real, err := filepath.EvalSymlinks(from)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(system, from)
			to := filepath.Join(root, rel)
			if err := copyLibrary(real, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyProgram copies a program and, if asked to, the libraries that it needs to the same place in root: those that ldd(1)
// names, and those that it opens by name when it wants them, as kmod 34 does its decompressors.
func copyProgram(root, from, to string, libraries bool) error {
	real, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if err := copyFile(real, to, 0o755); err != nil {
		return err
	}
	if !libraries {
		return nil
	}
	return copyNeeded(root, real)
}

// opened is the name of a library in a program: what it is linked with, and what it gives to dlopen(3).
var opened = regexp.MustCompile(`lib[0-9a-z_-]+\.so\.[0-9]+`)

// copyNeeded copies the libraries of a program or a library, and what these need. One that is opened by name may be missing:
// the program does without, as on a system that has it not.
func copyNeeded(root, program string) error {
	out, _ := exec.Command("ldd", program).Output() // fails for a static program
	var needed []string
	for _, m := range ldd.FindAllStringSubmatch(string(out), -1) {
		needed = append(needed, m[1])
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	for _, dir := range directories(needed) {
		for _, name := range opened.FindAll(content, -1) {
			if library := filepath.Join(dir, string(name)); isFile(library) {
				needed = append(needed, library)
			}
		}
	}
	for _, library := range needed {
		to := filepath.Join(root, library)
		if isFile(to) {
			continue
		}
		if err := copyLibrary(library, to); err != nil {
			return err
		}
		if err := copyNeeded(root, library); err != nil {
			return err
		}
	}
	return nil
}

// copyLibrary copies a library to a directory that may not be there yet.
func copyLibrary(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return copyFile(from, to, 0o755)
}

// directories are those of files, each once.
func directories(files []string) []string {
	var dirs []string
	for _, f := range files {
		dirs = append(dirs, filepath.Dir(f))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		dst := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(dst, 0o755)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if err := os.Link(path, dst); err != nil {
			return copyFile(path, dst, 0o644)
		}
		return nil
	})
}

// writeFiles writes files below root; a value that begins with "-> " is a
// symbolic link.
func writeFiles(root string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		os.Remove(path)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}
