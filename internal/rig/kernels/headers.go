// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"safeload/internal/rig/debian"
)

// BuildTree gives what modules are built against: the kernel's headers package, made ready for a cross build.
func (s *Store) BuildTree(ctx context.Context, b Build) (string, error) {
	if b.Headers != "" {
		return b.Headers, nil
	}
	dir := filepath.Join(b.Dir, "headers")
	err := s.Cache.Made(ctx, b.lock("headers"), dir, func(string) error { return s.fetchHeaders(ctx, b, dir) })
	return filepath.Join(dir, "usr/src/linux-headers-"+b.Release), err
}

// headerPackages are those that a headers package depends on: what it shares with other flavours, and kbuild's programs.
func headerPackages(p debian.Package) (common, kbuild string, err error) {
	common = p.First(func(n string) bool {
		return strings.HasPrefix(n, "linux-headers-") && strings.HasSuffix(n, "-common")
	})
	kbuild = p.First(func(n string) bool { return strings.HasPrefix(n, "linux-kbuild-") })
	if common == "" || kbuild == "" {
		return "", "", fmt.Errorf("%s depends on no common headers, or on no linux-kbuild", p.Name)
	}
	return common, kbuild, nil
}

func (s *Store) fetchHeaders(ctx context.Context, b Build, dir string) error {
	name := "linux-headers-" + b.Release
	control, err := s.Archive.Control(ctx, b.Source(), name)
	if err != nil {
		return err
	}
	common, kbuild, err := headerPackages(control)
	if err != nil {
		return err
	}
	if err := s.Archive.Unpack(ctx, dir, b.Source(), name, common); err != nil {
		return err
	}
	host, err := debian.HostArch(ctx)
	if err != nil {
		return err
	}
	// kbuild's programs run here, not in the guest.
	if err := s.Archive.Unpack(ctx, dir, debian.Source{Arch: host, Suite: b.Suite}, kbuild); err != nil {
		return err
	}
	programs := filepath.Join(dir, "usr/lib", kbuild)
	if b.Suite != "" {
		if err := s.ownLibc(ctx, b, host, filepath.Join(dir, "libc"), programs); err != nil {
			return err
		}
	}
	sources := filepath.Join(dir, "usr/src")
	for _, f := range []string{"Makefile", ".kernelvariables"} {
		if err := replaceIn(filepath.Join(sources, name, f), "/usr/src/", sources+"/"); err != nil {
			return err
		}
	}
	for _, l := range []string{"scripts", "tools"} {
		to := filepath.Join(programs, l)
		if err := relink(to, filepath.Join(sources, common, l)); err != nil {
			return err
		}
		own := filepath.Join(sources, name, l)
		if info, err := os.Lstat(own); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if err := relink(to, own); err != nil {
				return err
			}
		}
	}
	return nil
}

func relink(to, name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(to, name)
}

// replaceIn changes a file that may not be there.
func replaceIn(file, old, replacement string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, bytes.ReplaceAll(text, []byte(old), []byte(replacement)), 0o644)
}

// ownLibc: the programs of another Debian may be newer than this machine's libc. Those that it is too old for are run
// with theirs, in dir.
func (s *Store) ownLibc(ctx context.Context, b Build, host, dir, programs string) error {
	newer, err := tooNewFor(ctx, programs)
	if err != nil || len(newer) == 0 {
		return err
	}
	base := debian.Source{Arch: host, Suite: strings.TrimSuffix(b.Suite, "-backports")}
	if err := s.Archive.Unpack(ctx, dir, base, "libc6"); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(dir, "usr/lib/*/ld-linux*.so.*"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s: no ld-linux.so in it", dir)
	}
	loader := found[0]
	for _, file := range newer {
		if err := os.Rename(file, file+".elf"); err != nil {
			return err
		}
		// As the library path is searched first only, what is not libc's is still the machine's own.
		script := fmt.Sprintf("#!/bin/sh\nexec %s --library-path %s %s \"$@\"\n", Quote(loader), Quote(filepath.Dir(loader)), Quote(file+".elf"))
		if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// tooNewFor are the programs in a directory that this machine's libc is too old for.
func tooNewFor(ctx context.Context, dir string) (newer []string, err error) {
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&0o100 == 0 || info.Size() == 0 {
			return nil
		}
		said, _ := exec.CommandContext(ctx, "ldd", file).CombinedOutput() // of a script it fails
		if tooNew(string(said)) {
			newer = append(newer, file)
		}
		return ctx.Err()
	})
	return newer, err
}

// tooNew says whether ldd missed a version of a symbol.
func tooNew(said string) bool {
	for l := range strings.Lines(said) {
		if strings.Contains(l, "version ") && strings.Contains(l, " not found") {
			return true
		}
	}
	return false
}

// Quote is a word for the shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
