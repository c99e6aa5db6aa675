// SPDX-License-Identifier: Apache-2.0

// Rigkit gives scripts what the rig has: kernels and packages in its cache, and a place among the machine's guests.
// scripts/vm/lib.sh calls it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"safeload/internal/rig"
	"safeload/internal/rig/cache"
	"safeload/internal/rig/debian"
	"safeload/internal/rig/kernels"
)

const usage = `usage: rigkit kernel KEY                        KEY is of the matrix, or an architecture and a series, as in amd64-6.1;
                                                prints variables for a shell: kver, kdir, kimage, deb_arch, go_arch
       rigkit plain KEY                         prints the directory with lib/modules/VERSION, not compressed
       rigkit make KEY DIR                      builds the modules in DIR against the kernel's headers
       rigkit kmod                              prints the directory with the newest released kmod and its libraries
       rigkit source                            prints the path of the package with the sources of 6.1
       rigkit unpack DIR ARCH PACKAGE...        Debian's packages of an architecture, with ARCH@SUITE of another suite
       rigkit libraries ARCH PACKAGE            the packages of the libraries that it needs
       rigkit slot COMMAND...                   runs it as one of the guests that this machine runs at once
Environment: SAFELOAD_CACHE (default .cache in the repository).
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rigkit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	repo := os.Getenv("SAFELOAD_REPO")
	if repo == "" {
		repo, _ = os.Getwd()
	}
	where := os.Getenv("SAFELOAD_CACHE")
	if where == "" {
		where = filepath.Join(repo, ".cache")
	}
	c := cache.Cache(where)
	if err := c.Prepare(); err != nil {
		return err
	}
	store := kernels.NewStore(repo, c, func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) })
	switch {
	case len(args) == 2 && (args[0] == "kernel" || args[0] == "plain"), len(args) == 3 && args[0] == "make":
		return onKernel(ctx, store, args)
	case len(args) == 1 && args[0] == "kmod":
		dir, err := store.NewerKmod(ctx)
		return printed(err, dir)
	case len(args) == 1 && args[0] == "source":
		file, err := store.Source61(ctx)
		return printed(err, file)
	case len(args) > 3 && args[0] == "unpack":
		return store.Archive.Unpack(ctx, args[1], source(args[2]), args[3:]...)
	case len(args) == 3 && args[0] == "libraries":
		names, err := store.Archive.Libraries(ctx, source(args[1]), args[2])
		return printed(err, names...)
	case len(args) > 1 && args[0] == "slot":
		return inSlot(ctx, where, args[1:])
	}
	fmt.Fprint(os.Stderr, usage)
	os.Exit(2)
	return nil
}

func printed(err error, lines ...string) error {
	if err == nil {
		for _, l := range lines {
			fmt.Println(l)
		}
	}
	return err
}

func source(arch string) debian.Source {
	arch, suite, _ := strings.Cut(arch, "@")
	return debian.Source{Arch: arch, Suite: suite}
}

func onKernel(ctx context.Context, store *kernels.Store, args []string) error {
	k, err := kernels.Find(args[1])
	if err != nil {
		return err
	}
	build, err := store.Get(ctx, k)
	if err != nil {
		return err
	}
	switch args[0] {
	case "plain":
		dir, err := store.Plain(ctx, build)
		return printed(err, dir)
	case "make":
		dir, err := filepath.Abs(args[2])
		if err != nil {
			return err
		}
		return store.Make(ctx, build, dir, false, os.Stdout)
	}
	for _, v := range [][2]string{{"kver", build.Release}, {"kdir", build.Dir}, {"kimage", build.Image}, {"deb_arch", k.DebArch}, {"go_arch", k.Arch}} {
		fmt.Printf("%s=%s\n", v[0], kernels.Quote(v[1]))
	}
	return nil
}

// inSlot becomes the command, which has the slot's file: the slot is free when it ends.
func inSlot(ctx context.Context, cache string, command []string) error {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	slot, err := rig.TakeSlot(ctx, cache)
	if err != nil {
		return err
	}
	if _, err := syscall.Dup(int(slot.Fd())); err != nil { // a descriptor that is not closed on exec
		return err
	}
	return syscall.Exec(program, command, os.Environ())
}
