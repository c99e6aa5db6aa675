// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A Board is a machine that is real, as far as the rig has to know it.
type Board struct {
	Arch    string // Go's
	Release string // of its kernel
	Host    string // for reports
}

var (
	releaseName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+~-]*$`)
	series      = regexp.MustCompile(`^[0-9]+\.[0-9]+`)
)

// newBoard takes what uname says. A release is part of names of files and packages here, so it may not be anything.
func newBoard(machine, release, host string) (Board, error) {
	b := Board{Release: release, Host: host}
	switch {
	case machine == "x86_64" || machine == "amd64":
		b.Arch = "amd64"
	case machine == "aarch64" || machine == "arm64":
		b.Arch = "arm64"
	case machine == "arm" || strings.HasPrefix(machine, "armv6") || strings.HasPrefix(machine, "armv7") || strings.HasPrefix(machine, "armv8"):
		b.Arch = "arm"
	default:
		return b, fmt.Errorf("%s: a machine %.40q, for which there is no safeload (arm from version 6 on, arm64, amd64)", host, machine)
	}
	if !releaseName.MatchString(release) || len(release) > 64 || series.FindString(release) == "" {
		return b, fmt.Errorf("%s: %.80q is no release of a kernel", host, release)
	}
	return b, nil
}

// key is what a case's kernels are matched with.
func (b Board) key() string { return b.Arch + "-" + series.FindString(b.Release) }

// testModule is a name of the rig's own modules in a case.
var testModule = regexp.MustCompile(`\bsl(req_|prov\b|use\b|wait\b|hub\b|need\b|dev\b|devb\b)`)

// elsewhere says why a case cannot run on a board, or nothing. A board is not booted for a case: it has the root, the
// command line and the memory that it has, and must be as before when the case is over.
func (c *Case) elsewhere(b Board, testmods bool) string {
	switch {
	case c.KnownRed != "":
		return "known red: " + c.KnownRed
	case c.OffTarget != "":
		return "not on a machine that is real: " + c.OffTarget
	case c.Fresh || c.StandsFor != "":
		return "it is about what happens before /init"
	case c.Append != "":
		return "it needs words on the kernel's command line: " + c.Append
	case c.HelperNone:
		return "it needs a boot without a helper"
	case c.Memory > 0:
		return fmt.Sprintf("it needs a machine of %d MB", c.Memory)
	case len(c.Extra) > 0:
		return "it needs a root of its own (extra: " + strings.Join(c.Extra, " ") + ")"
	case !c.Applies(b.key(), true):
		return fmt.Sprintf("it is not for %s (kernels: %s)", b.key(), strings.Join(c.Kernels, " "))
	case c.testmods && !testmods:
		return "it needs test modules, and there is no headers package for " + b.Release + ": use --headers"
	}
	return ""
}

// A skipped case is one that does not run on a board.
type skippedCase struct {
	*Case
	why string
}

// sort parts cases into those that can run on a board and the others.
func (b Board) sort(cases []*Case, testmods bool) (runs []*Case, skipped []skippedCase) {
	for _, c := range cases {
		if why := c.elsewhere(b, testmods); why != "" {
			skipped = append(skipped, skippedCase{c, why})
		} else {
			runs = append(runs, c)
		}
	}
	return runs, skipped
}

// skips are what the archive says of them, for each mode: a report that is read from its output has them then.
func skips(skipped []skippedCase) string {
	var lines strings.Builder
	for _, s := range skipped {
		for _, m := range []Mode{Stock, Safe} {
			for _, p := range s.Phases(m) {
				fmt.Fprintf(&lines, "%s|%s|%s|%s\n", m, s.Name, p, s.why)
			}
		}
	}
	return lines.String()
}

// about is the line by which the output of an archive says what it is of.
func (b Board) about(cases []*Case) string {
	var names []string
	for _, c := range cases {
		names = append(names, c.Name)
	}
	return strings.Join([]string{b.key(), b.Host, b.Release, strings.Join(names, " ")}, "|")
}

// carry makes the tree of the archive for a board, with the cases that can run there, and says which cannot.
func (r *run) carry(ctx context.Context, b Board) (dir string, cases []*Case, err error) {
	if r.Headers != "" {
		if release, err := headersRelease(r.Headers); err != nil || release != b.Release {
			return "", nil, errors.Join(fmt.Errorf("--headers %s: it is of kernel %q, and there runs %s", r.Headers, release, b.Release), err)
		}
	}
	testModules, err := r.kitchen.boardModules(ctx, b)
	if err != nil && r.Headers != "" {
		return "", nil, fmt.Errorf("no test modules could be built against --headers %s: %w", r.Headers, err)
	}
	if err != nil {
		r.say.line("no test modules for %s: %v", b.Release, err)
		testModules = ""
	}
	cases, skipped := b.sort(r.cases, testModules != "")
	for _, s := range skipped {
		r.say.line("left out: %s: %s", s.Name, s.why)
	}
	if len(cases) == 0 {
		return "", nil, errors.New("none of these cases can run on that machine")
	}
	dir = filepath.Join(r.work, "target")
	if err := r.kitchen.pack(ctx, b, testModules, dir, cases); err != nil {
		return "", nil, fmt.Errorf("what is to be carried to %s could not be made: %w", b.Host, err)
	}
	return dir, cases, errors.Join(os.WriteFile(filepath.Join(dir, "about"), []byte(b.about(cases)+"\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "skips"), []byte(skips(skipped)), 0o644))
}

// Archive writes a tree as a tar archive below a name of its own, or of its own content if that is empty, owned by root. A
// board's clock may stand at the beginning of time, and tar warns of what is newer.
func Archive(w io.Writer, root, top string) error {
	out := tar.NewWriter(w)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.Join(top, strings.TrimPrefix(file, root))
		if top == "" {
			name = strings.TrimPrefix(strings.TrimPrefix(file, root), "/")
		}
		if name == "" {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode, content, err := entry(file, info)
		if err != nil {
			return err
		}
		h := &tar.Header{Name: name, Mode: int64(mode & 0o7777), Size: int64(len(content)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg}
		switch mode >> 12 {
		case 0o04:
			h.Typeflag, h.Name = tar.TypeDir, name+"/"
		case 0o12:
			h.Typeflag, h.Linkname, h.Size, content = tar.TypeSymlink, string(content), 0, nil
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err = io.Copy(out, bytes.NewReader(content))
		return err
	})
	return errors.Join(err, out.Close())
}

// headersRelease is the release of the kernel that a build tree is of.
func headersRelease(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "include/config/kernel.release"))
	if err != nil {
		return "", fmt.Errorf("--headers %s: no release in it (make modules_prepare): %w", dir, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// bundle writes an archive for a machine that this one has no network to.
func (r *run) bundle(ctx context.Context) error {
	release := r.Release
	if r.Headers != "" {
		var err error
		if release, err = headersRelease(r.Headers); err != nil {
			return err
		}
	}
	b, err := newBoard(r.Arch, release, "bundle")
	if err != nil {
		return &UsageError{err.Error()}
	}
	dir, cases, err := r.carry(ctx, b)
	if err != nil {
		return err
	}
	f, err := os.Create(r.Bundle)
	if err != nil {
		return err
	}
	if err := errors.Join(Archive(f, dir, "safeload-board"), f.Close()); err != nil {
		return err
	}
	r.say.line("%s: %d cases for %s %s; there, as root: tar xf %s && sh safeload-board/run.sh safe", r.Bundle, len(cases), b.Arch, b.Release, filepath.Base(r.Bundle))
	return nil
}
