// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"safeload/internal/rig/debian"
	"safeload/internal/rig/kernels"
)

// boardModules gives the test modules for a board's kernel, built against --headers or Debian's headers package of that
// very kernel. An error says why there are none.
func (k *kitchen) boardModules(ctx context.Context, b Board) (string, error) {
	like, err := kernels.OfArch(b.Arch)
	if err != nil {
		return "", err
	}
	build := kernels.Build{Kernel: like, Release: b.Release}
	if k.options.Headers != "" {
		build.Dir, build.Headers = filepath.Join(k.work, "own"), k.options.Headers
		dir := filepath.Join(k.work, "testmods-own")
		return dir, k.store.OwnTestModules(ctx, build, dir)
	}
	build.Dir = k.cache.Path("kernels", like.DebArch, b.Release)
	suites := []string{""}
	for _, t := range kernels.Table {
		if !slices.Contains(suites, t.Suite) {
			suites = append(suites, t.Suite)
		}
	}
	for _, build.Suite = range suites {
		source := debian.Source{Arch: build.DebArch, Suite: build.Suite}
		if _, err = k.store.Archive.Control(ctx, source, "linux-headers-"+b.Release); err == nil {
			return k.store.TestModules(ctx, build)
		}
	}
	return "", err
}

// pack puts into dir what is carried to a board: run.sh, safeload, kmod, test modules and cases. Modules of its kernel it has.
func (k *kitchen) pack(ctx context.Context, b Board, testModules, dir string, cases []*Case) error {
	like, err := kernels.OfArch(b.Arch)
	if err != nil {
		return err
	}
	p := Prepared{Release: b.Release, build: kernels.Build{Kernel: like, Release: b.Release}, testModules: testModules}
	if p.userland, err = k.userland(ctx, like.DebArch); err == nil {
		p.programs, err = k.binaries(ctx, b.Arch)
	}
	if err != nil {
		return err
	}
	i := &image{kitchen: k, p: p, ctx: ctx, dir: dir}
	for _, d := range []string{"t/cases", "t/files", "safe", "stock/lib", "updates"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	for _, step := range []func([]*Case) error{i.boardPrograms, i.boardKmod, i.boardCases} {
		if err := step(cases); err != nil {
			return err
		}
	}
	if testModules == "" {
		return nil
	}
	return i.putTestModules(cases, filepath.Join(dir, "updates"))
}

func (i *image) boardPrograms([]*Case) error {
	guest := filepath.Join(i.repo, "scripts/vm/guest")
	for to, from := range map[string]string{"run.sh": filepath.Join(guest, "run.sh"), "t/lib.sh": filepath.Join(guest, "lib.sh"),
		"t/busybox": filepath.Join(i.p.userland, "bin/busybox"), "t/vmtool": filepath.Join(i.p.programs, "vmtool"),
		"safe/modprobe": filepath.Join(i.p.programs, "safeload-modprobe"), "safe/safeload": filepath.Join(i.p.programs, "safeload")} {
		if err := kernels.CopyFile(from, filepath.Join(i.dir, to)); err != nil {
			return err
		}
	}
	for _, program := range []string{"run.sh", "t/busybox"} {
		if err := os.Chmod(filepath.Join(i.dir, program), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// boardKmod: kmod is started by its own loader with its own libraries; the machine's may be others, or too old.
func (i *image) boardKmod([]*Case) error {
	stock := filepath.Join(i.dir, "stock")
	loader := ""
	err := filepath.WalkDir(i.p.userland, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (slices.Contains([]string{"gconv", "engines-3", "ossl-modules"}, name) || strings.Contains(name, "perl")) {
			return fs.SkipDir
		}
		// A link may lead to a directory, or to a file that only the whole system has.
		info, statErr := os.Stat(file)
		if statErr != nil || !info.Mode().IsRegular() || !strings.Contains(name, ".so") || strings.HasPrefix(name, "libnss") || strings.Contains(name, "perl") {
			return nil
		}
		if strings.HasPrefix(name, "ld-linux") {
			loader = name
		}
		return kernels.CopyFile(file, filepath.Join(stock, "lib", name))
	})
	if err != nil {
		return err
	}
	if loader == "" {
		return fmt.Errorf("%s: no loader in it", i.p.userland)
	}
	if err := kernels.CopyFile(filepath.Join(i.p.userland, "bin/kmod"), filepath.Join(stock, "kmod")); err != nil {
		return err
	}
	for _, program := range []string{filepath.Join("lib", loader), "kmod"} {
		if err := os.Chmod(filepath.Join(stock, program), 0o755); err != nil {
			return err
		}
	}
	script := "#!/t/busybox sh\nexec /stock/lib/" + loader + " --argv0 \"$0\" --library-path /stock/lib /stock/kmod \"$@\"\n"
	for _, name := range applets {
		if err := os.WriteFile(filepath.Join(stock, name), []byte(script), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// boardCases: the machine may have no busybox, or one with other programs in it.
func (i *image) boardCases(cases []*Case) error {
	for _, c := range cases {
		text, err := os.ReadFile(c.File)
		if err != nil {
			return err
		}
		text = bytes.ReplaceAll(text, []byte("/bin/busybox"), []byte("/t/busybox"))
		if err := os.WriteFile(filepath.Join(i.dir, "t/cases", filepath.Base(c.File)), text, 0o644); err != nil {
			return err
		}
		for _, pkg := range c.Tests {
			if err := i.testBinary(i.ctx, i.p, pkg, filepath.Join(i.dir, "t/files")); err != nil {
				return err
			}
		}
	}
	return nil
}
