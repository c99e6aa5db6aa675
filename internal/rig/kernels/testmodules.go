// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"safeload/internal/rig/cache"
	"safeload/internal/rig/debian"
)

// TestModules gives our test modules for a build of a kernel. They are built once for each state of their sources.
func (s *Store) TestModules(ctx context.Context, b Build) (string, error) {
	sum, err := s.sourcesSum()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.Dir, "testmods-"+sum)
	log := s.Cache.Path("log", b.lock("testmods")+".log")
	return dir, s.Cache.Made(ctx, b.lock("testmods"), dir, func(string) error {
		if _, err := s.BuildTree(ctx, b); err != nil {
			return err
		}
		s.Say("building the test modules for %s", b.Release)
		return s.BuildTestModules(ctx, b, dir, log)
	})
}

// sourcesSum is a sum of the names and texts of their sources.
func (s *Store) sourcesSum() (string, error) {
	files, err := filepath.Glob(filepath.Join(s.Sources, "*"))
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %d\n", filepath.Base(f), len(text))
		_, _ = h.Write(text)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// BuildTestModules builds them in dir.
func (s *Store) BuildTestModules(ctx context.Context, b Build, dir, log string) error {
	files, err := filepath.Glob(filepath.Join(s.Sources, "*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := CopyFile(f, filepath.Join(dir, filepath.Base(f))); err != nil {
			return err
		}
	}
	neonbs := b.Headers == "" && b.Arch == "arm" && strings.HasPrefix(b.Release, "6.12.")
	if neonbs {
		if err := s.neonbs(ctx, dir); err != nil {
			return err
		}
	}
	var said bytes.Buffer
	err = s.Make(ctx, b, dir, neonbs, &said)
	_ = os.WriteFile(log, said.Bytes(), 0o644)
	if err != nil {
		return fmt.Errorf("the test modules for %s do not build (log: %s): %w\n%s", b.Release, log, err, lastLines(said.String(), 20))
	}
	return nil
}

// OwnTestModules builds them in dir against a kernel developer's own build tree.
func (s *Store) OwnTestModules(ctx context.Context, b Build, dir string) error {
	return cache.Fill(dir, func(string) error { return s.BuildTestModules(ctx, b, dir, dir+".log") })
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Make builds the modules outside the kernel's tree that dir has. The two empty settings undo what headers configured by a
// newer compiler would ask of this one.
func (s *Store) Make(ctx context.Context, b Build, dir string, neonbs bool, out io.Writer) error {
	tree, err := s.BuildTree(ctx, b)
	if err != nil {
		return err
	}
	tools, wanted := ToolchainFor(b.Arch), "n"
	if neonbs {
		wanted = "m"
	}
	return run(ctx, "", out, "make", "-C", tree, "M="+dir, "ARCH="+tools.Kbuild, "CROSS_COMPILE="+tools.Prefix, "CC="+tools.Prefix+"gcc",
		"CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "CONFIG_DEBUG_INFO_BTF_MODULES=", "NEONBS="+wanted, "modules")
}

// Source61 is the package with the sources of 6.1.
func (s *Store) Source61(ctx context.Context) (string, error) {
	host, err := debian.HostArch(ctx)
	if err != nil {
		return "", err
	}
	return s.Archive.Get(ctx, debian.Source{Arch: host, Suite: suiteOf(oldSeries)}, "linux-source-"+oldSeries)
}

// neonbs puts aes-arm-bs as it was in 6.1 into dir, from Debian's source package.
func (s *Store) neonbs(ctx context.Context, dir string) error {
	file, err := s.Source61(ctx)
	if err != nil {
		return err
	}
	// tar ends when it has both, early in an archive of more than a gigabyte, and so do those before it.
	err = run(ctx, dir, io.Discard, "bash", "-c", `
		dpkg-deb --fsys-tarfile "$1" | tar -xO ./usr/src/linux-source-6.1.tar.xz | xz -dc |
			tar -x --strip-components=4 --occurrence=1 linux-source-6.1/arch/arm/crypto/aes-neonbs-{core.S,glue.c}`, "bash", file)
	if err != nil {
		return err
	}
	return run(ctx, dir, io.Discard, "patch", "-s", "-i", "aes-neonbs-wait.patch", "aes-neonbs-glue.c")
}
