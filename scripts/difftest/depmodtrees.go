// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// depmodTrees compares every index that depmod makes of real trees.
func depmodTrees(name, kmod, modprobe, ours, work string, trees []string) (result, error) {
	start := time.Now()
	r := result{allowed: map[string]int{}}
	if err := os.RemoveAll(work); err != nil {
		return r, err
	}
	if err := depmodRoot(work, kmod, modprobe, ours); err != nil {
		return r, err
	}
	mounts := []string{filepath.Join(work, "proc")}
	defer func() { removeWork(work, mounts) }()
	bytes := 0
	for _, dir := range trees {
		version := filepath.Base(dir)
		at := filepath.Join(work, "lib/modules", version)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return r, err
		}
		if err := syscall.Mount(dir, at, "", syscall.MS_BIND, ""); err != nil {
			return r, fmt.Errorf("bind %s: %w", dir, err)
		}
		mounts = append([]string{at}, mounts...)
		c := &testCase{root: dir, privileged: true, args: []string{"depmod", "-o", "/out", "-e", "-w", version}}
		want, got := execute(work, "/kmod", c), outcome{}
		theirs, err := takeIndexes(work, version)
		if err == nil {
			got = execute(work, "/ours", c)
			want.files, got.files = "", ""
		}
		own, err2 := takeIndexes(work, version)
		if err != nil || err2 != nil || len(theirs) < 10 {
			return r, fmt.Errorf("kmod %s, %s: %d indexes, %v, %v: %s", name, dir, len(theirs), err, err2, want.stderr)
		}
		for file := range own {
			if _, ok := theirs[file]; !ok {
				fmt.Printf("--- %s: %s is not made by kmod\n", dir, file)
				r.failed++
			}
		}
		for file, text := range theirs {
			bytes += len(text)
			if own[file] == text {
				r.passed++
				continue
			}
			var b strings.Builder
			firstDifference(&b, file, text, own[file])
			fmt.Printf("--- %s: %s", dir, b.String())
			r.failed++
		}
		if want == got {
			r.passed++
		} else {
			fmt.Printf("--- %s: %+.300v and ours %+.300v\n", dir, want, got)
			r.failed++
		}
	}
	fmt.Printf("kmod %s: depmod in %d real trees, %d files and outcomes with %d KiB equal, %d different, %.0f s\n",
		name, len(trees), r.passed, bytes>>10, r.failed, time.Since(start).Seconds())
	return r, nil
}

// takeIndexes reads what depmod has put into /out and removes it.
func takeIndexes(root, version string) (files map[string]string, err error) {
	files = map[string]string{}
	list, err := filepath.Glob(filepath.Join(root, "out/lib/modules", version, "*"))
	if err != nil {
		return nil, err
	}
	for _, path := range list {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[filepath.Base(path)] = string(b)
	}
	return files, os.RemoveAll(filepath.Join(root, "out"))
}
