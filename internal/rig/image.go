// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"safeload/internal/modfile"
	"safeload/internal/rig/kernels"
)

// Modules that the kernels ask for by themselves, besides those that cases name.
var baseModules = strings.Fields("virtio_pci virtio_console virtio_blk tcrypt crypto_user af_alg algif_skcipher algif_hash ecb cbc ctr hmac sha256_generic aes_generic dummy")

// applets of kmod, by whose names it is called.
var applets = strings.Fields("modprobe insmod rmmod lsmod modinfo depmod")

// An image is a guest's root that is being put together.
type image struct {
	*kitchen
	p    Prepared
	ctx  context.Context
	dir  string // that has root
	mode Mode

	spares bool // what costs an emulated processor much, and shows nothing, is left out
}

func (i *image) root(elements ...string) string {
	return filepath.Join(append([]string{i.dir, "root"}, elements...)...)
}

// tree is the root's module tree.
func (i *image) tree(elements ...string) string {
	return i.root(append([]string{"lib/modules", i.p.Release}, elements...)...)
}

// root makes a guest's root in dir/root, of Debian's modules as they come or, to spare an emulated processor work, without
// their signatures. The demo, and anybody's own kernel, have all as it comes.
func (k *kitchen) root(ctx context.Context, p Prepared, dir string, mode Mode, cases []*Case, spares bool) error {
	i := &image{kitchen: k, p: p, ctx: ctx, dir: dir, mode: mode, spares: spares && !k.own() && !k.options.Demo}
	for _, step := range []func([]*Case) error{i.userspace, i.programs, i.cases, i.helper, i.modules, i.testModules, i.extras} {
		if err := step(cases); err != nil {
			return fmt.Errorf("the root of %s: %w", filepath.Base(dir), err)
		}
	}
	return tool(ctx, "depmod", "-b", i.root(), i.p.Release)
}

// userspace: busybox, kmod, and the libraries that it needs.
func (i *image) userspace([]*Case) error {
	if err := os.RemoveAll(i.root()); err != nil {
		return err
	}
	for _, d := range []string{"bin", "sbin", "usr/bin", "lib", "etc/modprobe.d", "stock", "safe", "t/cases", "t/files", "lib/modules/" + i.p.Release} {
		if err := os.MkdirAll(i.root(d), 0o755); err != nil {
			return err
		}
	}
	if err := kernels.CopyFile(filepath.Join(i.p.userland, "bin/busybox"), i.root("bin/busybox")); err != nil {
		return err
	}
	list, err := exec.CommandContext(i.ctx, "busybox", "--list").Output()
	if err != nil {
		return fmt.Errorf("busybox --list: %w", err)
	}
	for _, name := range strings.Fields(string(list)) {
		// Its own modprobe and friends are left out: a case must say which one it means.
		if slices.Contains(applets, name) || name == "busybox" || name == "init" || name == "linuxrc" {
			continue
		}
		if err := os.Symlink("busybox", i.root("bin", name)); err != nil {
			return err
		}
	}
	if err := copyTree(filepath.Join(i.p.userland, "bin/kmod"), i.root("usr/bin/kmod"), keepLink); err != nil {
		return err
	}
	if err := i.libraries(); err != nil {
		return err
	}
	for _, name := range applets {
		if err := os.Symlink("/usr/bin/kmod", i.root("stock", name)); err != nil {
			return err
		}
	}
	return nil
}

func (i *image) libraries() error {
	for _, d := range []string{"lib", "lib64"} {
		from := filepath.Join(i.p.userland, d)
		if info, err := os.Lstat(from); err != nil || !info.IsDir() {
			continue
		}
		if err := copyTree(from, i.root(d), keepLink); err != nil {
			return err
		}
	}
	if there(filepath.Join(i.p.userland, "usr/lib")) {
		if err := os.MkdirAll(i.root("usr/lib"), 0o755); err != nil {
			return err
		}
		found, _ := filepath.Glob(filepath.Join(i.p.userland, "usr/lib/*-linux-*"))
		for _, from := range found {
			if err := copyTree(from, i.root("usr/lib", filepath.Base(from)), keepLink); err != nil {
				return err
			}
		}
	}
	// Of what the packages have besides, no modprobe uses anything.
	for _, pattern := range []string{"gconv", "engines-3", "ossl-modules", "perl*", "libnss*"} {
		for _, top := range []string{"usr/lib", "lib"} {
			found, _ := filepath.Glob(i.root(top, "*", pattern))
			for _, f := range found {
				if err := os.RemoveAll(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// programs: PID 1, safeload, and what cases use.
func (i *image) programs([]*Case) error {
	guest := filepath.Join(i.repo, "scripts/vm/guest")
	if err := kernels.CopyFile(filepath.Join(guest, "init"), i.root("init")); err != nil {
		return err
	}
	if err := os.Chmod(i.root("init"), 0o755); err != nil {
		return err
	}
	if i.mode == rootOfSaved {
		return nil
	}
	for to, from := range map[string]string{"safe/modprobe": filepath.Join(i.p.programs, "safeload-modprobe"),
		"safe/safeload": filepath.Join(i.p.programs, "safeload"), "t/vmtool": filepath.Join(i.p.programs, "vmtool"),
		"t/lib.sh": filepath.Join(guest, "lib.sh")} {
		if err := kernels.CopyFile(from, i.root(to)); err != nil {
			return err
		}
	}
	if input := filepath.Join(i.dir, "input"); there(input) {
		return kernels.CopyFile(input, i.root("t/input"))
	}
	return nil
}

func (i *image) cases(cases []*Case) error {
	for _, c := range cases {
		if err := kernels.CopyFile(c.File, i.root("t/cases", filepath.Base(c.File))); err != nil {
			return err
		}
		for _, pkg := range c.Tests {
			if err := i.testBinary(i.ctx, i.p, pkg, i.root("t/files")); err != nil {
				return err
			}
		}
	}
	return nil
}

// helper is what the kernel starts.
func (i *image) helper(cases []*Case) error {
	if helperless(cases) {
		return nil
	}
	if i.mode == Stock || i.mode == rootOfSaved {
		return os.Symlink("/usr/bin/kmod", i.root("sbin/modprobe"))
	}
	return kernels.CopyFile(filepath.Join(i.p.programs, "safeload-modprobe"), i.root("sbin/modprobe"))
}

// modules are the kernel's: its cryptography and libraries, which are small and ask for each other, and what is named.
func (i *image) modules(cases []*Case) error {
	if err := kernels.CopyLists(i.plainTree(), i.tree()); err != nil {
		return err
	}
	wanted := slices.Clone(baseModules)
	for _, c := range cases {
		wanted = append(wanted, c.Modules...)
	}
	tops := []string{i.plainTree("kernel/crypto"), i.plainTree("kernel/lib")}
	perArch, _ := filepath.Glob(i.plainTree("kernel/arch/*/crypto"))
	for _, top := range append(tops, perArch...) {
		if !there(top) {
			continue
		}
		names, err := moduleNames(top, nil)
		if err != nil {
			return err
		}
		wanted = append(wanted, names...)
	}
	return i.addModules(wanted)
}

func (i *image) plainTree(elements ...string) string {
	return filepath.Join(append([]string{i.p.plain, "lib/modules", i.p.Release}, elements...)...)
}

// moduleNames are those of the files below a directory that fit.
func moduleNames(top string, fits func(path string) bool) ([]string, error) {
	var names []string
	err := filepath.WalkDir(top, func(file string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(d.Name(), ".ko"); err == nil && ok && (fits == nil || fits(file)) {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

// addModules copies modules of the kernel with what they need. What has no such name is passed over: kernels differ.
func (i *image) addModules(names []string) error {
	slices.Sort(names)
	args := append([]string{"-C", "/nonexistent", "-d", i.p.plain, "-S", i.p.Release, "--ignore-install", "--show-depends", "-a"}, slices.Compact(names)...)
	out, err := exec.CommandContext(i.ctx, "modprobe", args...).Output()
	if len(out) == 0 && err != nil {
		return fmt.Errorf("modprobe --show-depends: %w", err)
	}
	for _, file := range insmods(string(out), i.plainTree()) {
		to := i.tree(file)
		if there(to) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := i.copyModule(i.plainTree(file), to); err != nil {
			return err
		}
	}
	return nil
}

// copyModule leaves the signature out where work is spared: nearly all instructions of a load of one of Debian's modules go
// into it.
func (i *image) copyModule(from, to string) error {
	if !i.spares {
		return kernels.CopyFile(from, to)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, modfile.Unsigned(text), 0o644)
}

// insmods reads what modprobe --show-depends prints: the files, relative to the tree, each once.
func insmods(said, tree string) []string {
	var files []string
	for l := range strings.Lines(said) {
		f := strings.Fields(l)
		if len(f) < 2 || f[0] != "insmod" {
			continue
		}
		if file, ok := strings.CutPrefix(f[1], tree+"/"); ok {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// ourModules are our test modules besides slreq, of which there are copies.
var ourModules = strings.Fields("slprov sluse slwait slhub slneed sldev sldevb")

const noPANModule = "slnopan.ko"

func (i *image) testModules(cases []*Case) error {
	updates := i.tree("updates")
	if err := os.MkdirAll(updates, 0o755); err != nil {
		return err
	}
	if i.mode == rootOfSaved {
		return i.noPAN()
	}
	if i.p.testModules == "" {
		return nil
	}
	return i.putTestModules(cases, updates)
}

// noPAN puts slnopan.ko where init loads it before the guest is saved: for Debian's kernels of 32-bit ARM.
func (i *image) noPAN() error {
	from := filepath.Join(i.p.testModules, noPANModule)
	if !i.spares || i.p.testModules == "" || !there(from) {
		return nil
	}
	to := i.root(noPANModule)
	if err := kernels.CopyFile(from, to); err != nil {
		return err
	}
	return i.strip(to)
}

// putTestModules puts them and the copies that the cases want into a directory.
func (i *image) putTestModules(cases []*Case, updates string) error {
	for _, m := range ourModules {
		if err := kernels.CopyFile(filepath.Join(i.p.testModules, m+".ko"), filepath.Join(updates, m+".ko")); err != nil {
			return err
		}
	}
	for _, c := range cases {
		for _, name := range c.Copies {
			if err := i.copySlreq(name, filepath.Join(updates, "slreq_"+name+".ko")); err != nil {
				return fmt.Errorf("case %s: copies: %w", c.Name, err)
			}
		}
	}
	return i.strip(filepath.Join(updates, "*.ko"))
}

// copySlreq makes slreq_NAME of slreq_00, whose name is patched in place.
func (i *image) copySlreq(name, to string) error {
	if len(name) != 2 {
		return fmt.Errorf("%q: names of two characters are needed, the binary is patched in place", name)
	}
	from := filepath.Join(i.p.testModules, "slreq_00.ko")
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, bytes.ReplaceAll(text, []byte("slreq_00"), []byte("slreq_"+name)), 0o644)
}

// strip leaves what debuggers want out of the modules that fit.
func (i *image) strip(pattern string) error {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s: no such module", pattern)
	}
	return tool(i.ctx, kernels.ToolchainFor(i.p.build.Arch).Prefix+"strip", append([]string{"-d"}, files...)...)
}

func (i *image) extras(cases []*Case) error {
	done := map[string]bool{}
	for _, c := range cases {
		for _, name := range c.Extra {
			if done[name] {
				continue
			}
			done[name] = true
			add := extras[name]
			if add == nil {
				return fmt.Errorf("case %s: there is no extra %s", c.Name, name)
			}
			if err := add(i); err != nil {
				return fmt.Errorf("extra %s: %w", name, err)
			}
		}
	}
	return nil
}
