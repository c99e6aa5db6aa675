// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Kernel is one line of the table in scripts/vm/lib.sh.
type Kernel struct {
	Key, DebArch, Arch, Series, Flavour, Suite string
}

// parseKernels reads the table.
func parseKernels(table string) ([]Kernel, error) {
	var kernels []Kernel
	for _, l := range strings.Split(strings.TrimSpace(table), "\n") {
		f := strings.Fields(l)
		if len(f) != 5 && len(f) != 6 {
			return nil, fmt.Errorf("kernels_table: %q: five or six fields are needed", l)
		}
		k := Kernel{Key: f[0], DebArch: f[1], Arch: f[2], Series: f[3], Flavour: f[4]}
		if len(f) == 6 {
			k.Suite = f[5]
		}
		kernels = append(kernels, k)
	}
	return kernels, nil
}

// Prepared is what a boot of a kernel is made of.
type Prepared struct {
	Release, Image, Dir string // Dir has the unpacked packages
}

// A kitchen runs scripts/vm/make.sh, which fetches packages and puts roots together.
type kitchen struct {
	script, cache, work string
	env                 []string
}

func (k *kitchen) run(ctx context.Context, stdout io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, k.script, args...)
	cmd.Env = append(os.Environ(), append(k.env, "SAFELOAD_CACHE="+k.cache, "work="+k.work)...)
	cmd.Stdout, cmd.Stderr = stdout, os.Stderr
	return cmd.Run()
}

func (k *kitchen) kernels(ctx context.Context) ([]Kernel, error) {
	var out bytes.Buffer
	if err := k.run(ctx, &out, "kernels"); err != nil {
		return nil, fmt.Errorf("%s kernels: %w", k.script, err)
	}
	return parseKernels(out.String())
}

// offered says whether the machine's mirrors have the kernel.
func (k *kitchen) offered(ctx context.Context, key string) bool {
	return k.run(ctx, io.Discard, "offered", key) == nil
}

func (k *kitchen) prepare(ctx context.Context, key string) (Prepared, error) {
	var out bytes.Buffer
	if err := k.run(ctx, &out, "prepare", key); err != nil {
		return Prepared{}, fmt.Errorf("kernel %s: %w", key, err)
	}
	f := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(f) != 3 {
		return Prepared{}, fmt.Errorf("kernel %s: three lines were expected, not %q", key, out.String())
	}
	return Prepared{f[0], f[1], f[2]}, nil
}

// root makes a guest's root in dir/root.
func (k *kitchen) root(ctx context.Context, key, dir string, mode Mode, cases []*Case) error {
	args := []string{"root", key, dir, string(mode)}
	for _, c := range cases {
		args = append(args, c.File)
	}
	return k.run(ctx, io.Discard, args...)
}

// dtb finds a device tree in the kernel's own package.
func (p Prepared) dtb(name string) (string, error) {
	top := filepath.Join(p.Dir, "usr/lib/linux-image-"+p.Release)
	for _, pattern := range []string{name, "*/" + name, "*/*/" + name} {
		if found, _ := filepath.Glob(filepath.Join(top, pattern)); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("%s: no %s below it", top, name)
}
