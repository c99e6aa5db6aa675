// SPDX-License-Identifier: Apache-2.0

package rig

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

	"safeload/internal/rig/cache"
	"safeload/internal/rig/debian"
	"safeload/internal/rig/kernels"
)

// A kitchen makes what guests are booted with: kernels, and roots of busybox, the real kmod, safeload, modules and cases.
type kitchen struct {
	repo, work string
	cache      cache.Cache
	store      *kernels.Store
	options    Options
	say        func(format string, args ...any)

	ready perKey[made[Prepared]]
	built perKey[made[struct{}]] // what was compiled, by its file
}

func newKitchen(o Options, work string, say func(format string, args ...any)) *kitchen {
	c := cache.Cache(o.Cache)
	return &kitchen{repo: o.Repo, work: work, cache: c, store: kernels.NewStore(o.Repo, c, say), options: o, say: say}
}

// Prepared is all that a boot of a kernel is made of, but for its root.
type Prepared struct {
	Release, Image, Dir string // Dir has the unpacked packages
	build               kernels.Build
	plain               string // has lib/modules/RELEASE: modules that are not compressed
	testModules         string // or empty
	userland            string // busybox, and kmod with its libraries
	programs            string // ours, for the guest
}

// offered says whether the machine's mirrors have the kernel. That it cannot be had for another reason is an error.
func (k *kitchen) offered(ctx context.Context, kernel Kernel) (bool, error) {
	_, err := k.store.Get(ctx, kernel)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, debian.ErrNotOffered):
		k.say("%s: %v", kernel.Key, err)
		return false, nil
	}
	return false, fmt.Errorf("kernel %s: %w", kernel.Key, err)
}

// prepare makes ready what boots of the kernel need, once in a run.
func (k *kitchen) prepare(ctx context.Context, kernel Kernel) (Prepared, error) {
	return once(&k.ready, kernel.Key, func() (Prepared, error) {
		p, err := k.preparedNow(ctx, kernel)
		if err != nil {
			return Prepared{}, fmt.Errorf("kernel %s: %w", kernel.Key, err)
		}
		k.say("%s: kernel %s", kernel.Key, p.Release)
		return p, nil
	})
}

// own says that the kernel is somebody's own, not Debian's: nothing about it is changed.
func (k *kitchen) own() bool { return k.options.Image != "" || k.options.SeedKernel }

func (k *kitchen) preparedNow(ctx context.Context, kernel Kernel) (p Prepared, err error) {
	own := k.own()
	if own {
		p.build, err = k.ownKernel(ctx, kernel)
	} else {
		p.build, err = k.store.Get(ctx, kernel)
	}
	if err != nil {
		return p, err
	}
	p.Release, p.Image, p.Dir = p.build.Release, p.build.Image, p.build.Dir
	switch {
	case own && p.build.Headers != "":
		p.testModules = filepath.Join(k.work, "testmods-own")
		err = k.store.OwnTestModules(ctx, p.build, p.testModules)
	case !own && !k.options.Demo: // no case of the demo asks for our test modules, which take a compiler
		p.testModules, err = k.store.TestModules(ctx, p.build)
	}
	if err != nil {
		return p, err
	}
	if p.plain, err = k.store.Plain(ctx, p.build); err != nil {
		return p, err
	}
	if p.userland, err = k.userland(ctx, p.build.DebArch); err != nil {
		return p, err
	}
	p.programs, err = k.binaries(ctx, p.build.Arch)
	return p, err
}

// ownKernel is a kernel developer's image with its modules, or the seed kernel, in place of Debian's.
func (k *kitchen) ownKernel(ctx context.Context, kernel Kernel) (kernels.Build, error) {
	image, modules, headers := k.options.Image, k.options.Modules, k.options.Headers
	if k.options.SeedKernel {
		var err error
		if image, modules, headers, err = k.store.Seed(ctx); err != nil {
			return kernels.Build{}, err
		}
	}
	trees, _ := filepath.Glob(filepath.Join(modules, "lib/modules/*"))
	if len(trees) != 1 {
		return kernels.Build{}, fmt.Errorf("--modules %s: exactly one lib/modules/VERSION is expected in it (make modules_install INSTALL_MOD_PATH=...)", modules)
	}
	like, err := kernels.OfArch(kernel.Arch)
	if err != nil {
		return kernels.Build{}, err
	}
	like.Key, like.Suite = kernel.Key, ""
	b := kernels.Build{Kernel: like, Release: filepath.Base(trees[0]), Image: image, Dir: filepath.Join(k.work, "own"), Headers: headers}
	tree, err := filepath.EvalSymlinks(trees[0])
	if err != nil {
		return b, err
	}
	if err := copyTree(tree, b.Modules(), followLink); err != nil {
		return b, err
	}
	return b, kernels.Uncompress(ctx, b.Modules())
}

// userland gives busybox and kmod with its libraries.
func (k *kitchen) userland(ctx context.Context, arch string) (string, error) {
	// Of the machine's own suite, which it may leave for a newer one.
	dir, source := k.cache.Path("userland", arch+"-"+debian.HostSuite()), debian.Source{Arch: arch}
	return dir, k.cache.Made(ctx, "userland-"+arch, dir, func(string) error {
		libraries, err := k.store.Archive.Libraries(ctx, source, "kmod")
		if err != nil {
			return err
		}
		if err := k.store.Archive.Unpack(ctx, dir, source, append([]string{"busybox-static", "kmod"}, libraries...)...); err != nil {
			return err
		}
		// trixie's packages have all of it below usr alone.
		for _, name := range []string{"bin", "lib", "lib64"} {
			at, below := filepath.Join(dir, name), filepath.Join(dir, "usr", name)
			if there(at) || !there(below) {
				continue
			}
			if err := os.Rename(below, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func there(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// binaries gives the directory with safeload-modprobe, safeload and the rig's tool.
func (k *kitchen) binaries(ctx context.Context, arch string) (string, error) {
	dir := filepath.Join(k.work, "bin", arch)
	return dir, k.once(dir, func() error {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		dist := k.options.Dist
		if dist == "" {
			k.say("building safeload for %s", arch)
			dist = filepath.Join(k.work, "dist", arch)
			build := exec.CommandContext(ctx, filepath.Join(k.repo, "scripts/build.sh"), arch)
			build.Env = append(os.Environ(), "SAFELOAD_DIST="+dist)
			if out, err := build.CombinedOutput(); err != nil {
				return fmt.Errorf("safeload does not build for %s: %w\n%s", arch, err, out)
			}
		}
		for _, name := range []string{"safeload-modprobe", "safeload"} {
			if err := kernels.CopyFile(filepath.Join(dist, name+"-linux-"+arch), filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("%s-linux-%s: %w", name, arch, err)
			}
		}
		return k.compile(ctx, arch, "build", "-o", filepath.Join(dir, "vmtool"), "./scripts/vm/tools/vmtool")
	})
}

// once runs f unless this run has done so for the file.
func (k *kitchen) once(file string, f func() error) error {
	_, err := once(&k.built, file, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// compile runs go for the guest's architecture, in the repository.
func (k *kitchen) compile(ctx context.Context, arch, what string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{what, "-trimpath"}, args...)...)
	cmd.Dir = k.repo
	// The compiler collects its garbage as in scripts/go.sh.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOARM=6", "GOGC=400")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s %s for %s: %w\n%s", what, args[len(args)-1], arch, err, out)
	}
	return nil
}

// testName is what a package's tests are called in a guest.
func testName(pkg string) string { return strings.ReplaceAll(pkg, "/", "_") + ".test" }

// testBinary puts a Go test of ./PACKAGE, built with the tag vmtest, into dir as NAME.test.
func (k *kitchen) testBinary(ctx context.Context, p Prepared, pkg, dir string) error {
	name := testName(pkg)
	file := filepath.Join(p.programs, name)
	err := k.once(file, func() error {
		return k.compile(ctx, p.build.Arch, "test", "-c", "-vet=off", "-tags", "vmtest", "-o", file, "./"+pkg)
	})
	if err != nil {
		return err
	}
	if !there(file) {
		return fmt.Errorf("./%s has no tests for the tag vmtest", pkg)
	}
	return kernels.CopyFile(file, filepath.Join(dir, name))
}

// tool runs a program of the host, and says what it said if it fails.
func tool(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// copyTree copies files and directories with their permissions; what becomes of a link is link's to do.
func copyTree(from, to string, link func(file, target string) error) error {
	return filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(file, from))
		switch {
		case d.IsDir():
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
		case d.Type()&fs.ModeSymlink != 0:
			return link(file, target)
		case d.Type().IsRegular():
			if err := kernels.CopyFile(file, target); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: a file of a kind that no root has", file)
		}
		return os.Chmod(target, info.Mode().Perm())
	})
}

func keepLink(file, target string) error {
	to, err := os.Readlink(file)
	if err != nil {
		return err
	}
	return os.Symlink(to, target)
}

// followLink copies the file that a link leads to, if it is one.
func followLink(file, target string) error {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return kernels.CopyFile(file, target)
}
