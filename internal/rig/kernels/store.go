// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"safeload/internal/rig/cache"
	"safeload/internal/rig/debian"
)

// A Store keeps kernels in the cache.
type Store struct {
	Cache   cache.Cache
	Archive *debian.Archive
	Sources string // the directory of our test modules
	Say     func(format string, args ...any)
}

// NewStore makes one for the repository.
func NewStore(repo string, c cache.Cache, say func(format string, args ...any)) *Store {
	return &Store{Cache: c, Archive: &debian.Archive{Cache: c, Say: say}, Sources: filepath.Join(repo, "scripts/vm/modules"), Say: say}
}

// A Build is one build of a kernel that is there.
type Build struct {
	Kernel
	Release string
	Image   string
	Dir     string // has the unpacked packages
	Headers string // the build tree, if it is not that of Debian's headers package
}

// Modules is its module tree.
func (b Build) Modules() string { return filepath.Join(b.Dir, "lib/modules", b.Release) }

// lock names what one run at a time does with it.
func (b Build) lock(what string) string { return what + "-" + b.DebArch + "-" + b.Release }

// Get gives the newest build of a kernel, or an error that is debian.ErrNotOffered if the mirrors have none. Which build
// is the newest is asked at most once in twelve hours.
func (s *Store) Get(ctx context.Context, k Kernel) (Build, error) {
	memo := s.Cache.Path("kernels", k.Memo())
	if err := os.MkdirAll(filepath.Dir(memo), 0o755); err != nil {
		return Build{}, err
	}
	var release string
	err := s.Cache.Locked(ctx, "kernel-"+k.Key, func() error {
		if cache.Current(memo) {
			b, err := os.ReadFile(memo)
			if err != nil {
				return err
			}
			// It may be cut short, or what it names may have been removed since.
			if release = strings.TrimSpace(string(b)); release != "" && cache.Complete(s.dir(k, release)) {
				return nil
			}
		}
		var err error
		if release, err = s.Archive.Newest(ctx, k.Source(), k.images()); err != nil {
			return err
		}
		if release == "" {
			return fmt.Errorf("a linux-image for %s, series %s, flavour %s: %w", k.Source(), k.Series, k.Flavour, debian.ErrNotOffered)
		}
		if err := cache.Fill(s.dir(k, release), func(dir string) error { return s.fetch(ctx, k, release, dir) }); err != nil {
			return err
		}
		return os.WriteFile(memo, []byte(release+"\n"), 0o644)
	})
	dir := s.dir(k, release)
	return Build{Kernel: k, Release: release, Dir: dir, Image: filepath.Join(dir, "boot/vmlinuz-"+release)}, err
}

func (s *Store) dir(k Kernel, release string) string {
	return s.Cache.Path("kernels", k.DebArch, release)
}

// fetch unpacks a kernel's packages.
func (s *Store) fetch(ctx context.Context, k Kernel, release, dir string) error {
	if err := s.Archive.Unpack(ctx, dir, k.Source(), "linux-image-"+release); err != nil {
		return err
	}
	image := filepath.Join(dir, "boot/vmlinuz-"+release)
	if !exists(image) {
		// From 7.0 on the package only depends on those that have the files.
		if err := s.Archive.Unpack(ctx, dir, k.Source(), "linux-base-"+release, "linux-binary-"+release, "linux-modules-"+release); err != nil {
			return err
		}
	}
	if !exists(image) {
		if err := os.MkdirAll(filepath.Join(dir, "boot"), 0o755); err != nil {
			return err
		}
		for _, f := range []string{"vmlinuz", "config"} {
			if err := os.Symlink("../usr/lib/modules/"+release+"/"+f, filepath.Join(dir, "boot", f+"-"+release)); err != nil {
				return err
			}
		}
	}
	// trixie's packages have them below usr alone.
	if !exists(filepath.Join(dir, "lib/modules")) {
		if err := os.MkdirAll(filepath.Join(dir, "lib"), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("../usr/lib/modules", filepath.Join(dir, "lib/modules")); err != nil {
			return err
		}
	}
	return Uncompress(ctx, filepath.Join(dir, "lib/modules", release))
}

// kmodSuite has the newest kmod that Debian has released.
const kmodSuite = "trixie"

// NewerKmod gives a directory with that kmod and the libraries that it needs, none of it installed.
func (s *Store) NewerKmod(ctx context.Context) (string, error) {
	host, err := debian.HostArch(ctx)
	if err != nil {
		return "", err
	}
	dir := s.Cache.Path("kmod", kmodSuite+"-"+host)
	return dir, s.Cache.Made(ctx, "kmod-"+host, dir, func(string) error {
		from := debian.Source{Arch: host, Suite: kmodSuite}
		if err := s.Archive.Unpack(ctx, dir, from, "kmod", "libc6", "libssl3t64", "zlib1g", "libzstd1", "liblzma5"); err != nil {
			return err
		}
		for _, l := range []string{"lib", "lib64"} { // as base-files has it
			if err := os.Symlink("usr/"+l, filepath.Join(dir, l)); err != nil {
				return err
			}
		}
		return nil
	})
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// Uncompress makes a plain .ko beside each .ko.xz of a tree, so that an image can hold either.
func Uncompress(ctx context.Context, tree string) error {
	var packed []string
	err := filepath.WalkDir(tree, func(file string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(file, ".ko.xz") {
			packed = append(packed, file)
		}
		return err
	})
	for len(packed) > 0 && err == nil {
		n := min(64, len(packed))
		err = run(ctx, "", io.Discard, "xz", append([]string{"-dkf", "--"}, packed[:n]...)...)
		packed = packed[n:]
	}
	return err
}

// run runs a program in a directory. What it writes goes to out, and is part of the error if out is io.Discard. When ctx ends, so
// does all that the program has started: a make that went on would write into a tree that the next run makes anew.
func run(ctx context.Context, dir string, out io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if out == io.Discard {
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(said)))
		}
		return nil
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Plain gives a directory with lib/modules/RELEASE: the modules, uncompressed and indexed.
func (s *Store) Plain(ctx context.Context, b Build) (string, error) {
	top := filepath.Join(b.Dir, "plain")
	return top, s.Cache.Made(ctx, b.lock("plain"), top, func(string) error {
		from, to := b.Modules(), filepath.Join(top, "lib/modules", b.Release)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := CopyLists(from, to); err != nil {
			return err
		}
		// The tree itself may be a link.
		real, err := filepath.EvalSymlinks(from)
		if err != nil {
			return err
		}
		err = filepath.WalkDir(filepath.Join(real, "kernel"), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".ko") {
				return err
			}
			link := filepath.Join(to, strings.TrimPrefix(file, real))
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				return err
			}
			if os.Link(file, link) == nil {
				return nil
			}
			return CopyFile(file, link)
		})
		if err != nil {
			return err
		}
		return run(ctx, "", io.Discard, "depmod", "-b", top, b.Release)
	})
}

// CopyLists copies what depmod reads of a module tree besides the modules. Kernels before 5.2 have no
// modules.builtin.modinfo.
func CopyLists(from, to string) error {
	for _, f := range []string{"modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		err := CopyFile(filepath.Join(from, f), filepath.Join(to, f))
		if err != nil && !(f == "modules.builtin.modinfo" && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// CopyFile copies a file with its permissions; a link is followed.
func CopyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
