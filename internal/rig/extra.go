// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"safeload/internal/rig/debian"
	"safeload/internal/rig/kernels"
)

// extras are what single cases need in their root beyond modules, by the names in their field "extra".
var extras = map[string]func(*image) error{
	"bench":           (*image).benchPrograms,
	"config":          (*image).kernelConfig,
	"dpkg":            (*image).diversions,
	"early_recursion": (*image).earlyRecursion,
	"identity":        (*image).otherNames,
	"incident":        (*image).incident,
	"net":             (*image).network,
	"udev":            (*image).udevd,
	"xz":              (*image).compressed,
}

// dictionary is the largest that the kernel's own decompressor takes, and CRC32 the only sum (scripts/Makefile.modinst).
const dictionary = "--lzma2=dict=1MiB"

// compressed: a second tree in /xz with compressed modules, as distributions have them.
func (i *image) compressed() error {
	tree := i.root("xz/lib/modules", i.p.Release)
	updates := filepath.Join(tree, "updates")
	if err := os.MkdirAll(updates, 0o755); err != nil {
		return err
	}
	if err := kernels.CopyLists(i.plainTree(), tree); err != nil {
		return err
	}
	file := func(n int) string { return filepath.Join(updates, fmt.Sprintf("slreq_x%d.ko", n)) }
	for _, n := range []int{0, 1, 2, 3, 4, 5, 8} {
		if err := i.copySlreq(fmt.Sprintf("x%d", n), file(n)); err != nil {
			return err
		}
	}
	return errors.Join(i.strip(filepath.Join(updates, "*.ko")),
		tool(i.ctx, "xz", "--check=crc32", dictionary, file(0), file(1)),
		tool(i.ctx, "gzip", "-9", file(2)),
		tool(i.ctx, "xz", "--check=crc64", dictionary, file(3)),
		tool(i.ctx, "xz", "--check=crc32", "--arm", "--lzma2=dict=96MiB", file(4)),
		tool(i.ctx, "xz", "--check=sha256", dictionary, file(5)),
		packZstd(file(8)),
		tool(i.ctx, "depmod", "-b", i.root("xz"), i.p.Release))
}

// packZstd puts a compressed file in the place of one, as zstd --rm.
func packZstd(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	w, err := zstd.NewWriter(nil)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(file+".zst", w.EncodeAll(data, nil), 0o644), w.Close(), os.Remove(file))
}

// incident: on 6.12, aes-arm-bs as it was when it hung; 6.1 has it still.
func (i *image) incident() error {
	ours := filepath.Join(i.p.testModules, "aes-arm-bs.ko")
	if i.p.testModules == "" || !there(ours) {
		return nil
	}
	theirs, _ := filepath.Glob(i.tree("kernel/arch/*/crypto/aes-arm-bs.ko*"))
	for _, f := range theirs {
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	to := i.tree("updates/aes-arm-bs.ko")
	if err := kernels.CopyFile(ours, to); err != nil {
		return err
	}
	return i.strip(to)
}

// earlyRecursion: what the kernel asks for before /init runs leads to a module that asks for itself.
func (i *image) earlyRecursion() error {
	var b strings.Builder
	for _, name := range []string{"cbc(aes)", "ecb(aes)", "ctr(aes)", "hmac(sha256)"} {
		fmt.Fprintf(&b, "alias crypto-%s slreq_h0\n", name)
	}
	b.WriteString("options slreq_h0 req=slreq_h0\n")
	return os.WriteFile(i.root("etc/modprobe.d/early.conf"), []byte(b.String()), 0o644)
}

// network: hundreds of modules that load without hardware: packet filters, schedulers, character sets.
func (i *image) network() error {
	var all []string
	for top, part := range map[string]string{"kernel/net": "filter", "kernel/net/sched": "", "kernel/fs/nls": ""} {
		from := i.plainTree(top)
		if !there(from) {
			continue
		}
		names, err := moduleNames(from, func(path string) bool {
			return strings.Contains(strings.TrimPrefix(path, from), part)
		})
		if err != nil {
			return err
		}
		all = append(all, names...)
	}
	return i.addModules(all)
}

// kernelConfig: the kernel's configuration where distributions leave it.
func (i *image) kernelConfig() error {
	if err := os.MkdirAll(i.root("boot"), 0o755); err != nil {
		return err
	}
	name := "boot/config-" + i.p.Release
	return kernels.CopyFile(filepath.Join(i.p.Dir, name), i.root(name))
}

// diversions: the real dpkg-divert, and a database that knows no package.
func (i *image) diversions() error {
	arch := i.p.build.DebArch
	dir := i.cache.Path("userland", arch+"-dpkg-"+debian.HostSuite())
	err := i.cache.Made(i.ctx, "userland-dpkg-"+arch, dir, func(string) error {
		return i.store.Archive.Unpack(i.ctx, dir, debian.Source{Arch: arch}, "dpkg", "libmd0")
	})
	if err != nil {
		return err
	}
	if err := kernels.CopyFile(filepath.Join(dir, "usr/bin/dpkg-divert"), i.root("usr/bin/dpkg-divert")); err != nil {
		return err
	}
	libraries, _ := filepath.Glob(filepath.Join(dir, "usr/lib/*-linux-*/libmd.so.0*"))
	if len(libraries) == 0 {
		libraries, _ = filepath.Glob(filepath.Join(dir, "lib/*-linux-*/libmd.so.0*"))
	}
	if len(libraries) == 0 {
		return fmt.Errorf("%s: no libmd.so.0 in it", dir)
	}
	for _, l := range libraries {
		if err := copyTree(l, i.root("lib", filepath.Base(l)), keepLink); err != nil {
			return err
		}
	}
	for _, d := range []string{"info", "updates"} {
		if err := os.MkdirAll(i.root("var/lib/dpkg", d), 0o755); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(i.root("var/lib/dpkg/status"), nil, 0o644), os.WriteFile(i.root("var/lib/dpkg/diversions"), nil, 0o644))
}

// benchPrograms: the program of scripts/bench.sh, and one that does nothing.
func (i *image) benchPrograms() error {
	source := filepath.Join(i.work, "empty.go")
	return errors.Join(os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644),
		i.compile(i.ctx, i.p.build.Arch, "build", "-ldflags", "-s -w", "-o", i.root("t/empty"), source),
		i.compile(i.ctx, i.p.build.Arch, "build", "-o", i.root("t/bench"), "./scripts/bench"))
}

// otherNames: modules in files that are called otherwise: slreq_xN in slreq-xN-current.ko, one of them compressed.
func (i *image) otherNames() error {
	updates := i.tree("updates")
	file := func(n string) string { return filepath.Join(updates, "slreq-"+n+"-current.ko") }
	for _, n := range []string{"x5", "x6", "x7"} {
		if err := i.copySlreq(n, file(n)); err != nil {
			return err
		}
	}
	return errors.Join(i.strip(file("x?")), tool(i.ctx, "xz", "--check=crc32", dictionary, file("x6")))
}

// udevd: the real systemd-udevd with the libraries that it needs, and none of its rules.
func (i *image) udevd() error {
	arch := i.p.build.DebArch
	dir := i.cache.Path("userland", arch+"-udev-"+debian.HostSuite())
	err := i.cache.Made(i.ctx, "userland-udev-"+arch, dir, func(string) error {
		source := debian.Source{Arch: arch}
		// Newer ones open libkmod by its name, and do not depend on it.
		all := []string{"udev", "libkmod2"}
		for _, p := range all[:2] {
			libraries, err := i.store.Archive.Libraries(i.ctx, source, p)
			if err != nil {
				return err
			}
			for _, l := range libraries {
				if !slices.Contains(all, l) {
					all = append(all, l)
				}
			}
		}
		return i.store.Archive.Unpack(i.ctx, dir, source, all...)
	})
	if err != nil {
		return err
	}
	for _, at := range []string{"bin/udevadm", "usr/bin/udevadm"} {
		if from := filepath.Join(dir, at); there(from) {
			// By this name it is the daemon.
			if err := kernels.CopyFile(from, i.root("bin/systemd-udevd")); err != nil {
				return err
			}
		}
	}
	// What systemd's programs share is in a directory of its own since Debian 13.
	for _, pattern := range []string{"lib/*-linux-*/*.so.*", "usr/lib/*-linux-*/*.so.*", "usr/lib/*-linux-*/systemd/*.so"} {
		libraries, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, l := range libraries {
			if to := i.root("lib", filepath.Base(l)); !there(to) {
				if err := copyTree(l, to, keepLink); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
