// SPDX-License-Identifier: Apache-2.0

// Package cache is the directory of what the rig has fetched and made, which several runs share.
package cache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Cache is such a directory.
type Cache string

// Path is that of a file in it.
func (c Cache) Path(elements ...string) string {
	return filepath.Join(append([]string{string(c)}, elements...)...)
}

// Prepare makes the directories that everything else expects.
func (c Cache) Prepare() error {
	return errors.Join(os.MkdirAll(c.Path("locks"), 0o755), os.MkdirAll(c.Path("log"), 0o755))
}

// Locked runs f, one at a time of that name on this machine.
func (c Cache) Locked(name string, f func() error) error {
	lock, err := os.OpenFile(c.Path("locks", strings.ReplaceAll(name, "/", "_")), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return err
	}
	return f()
}

// complete is in a directory that was made to its end.
const complete = ".complete"

// Complete says whether a directory was.
func Complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, complete))
	return err == nil
}

// Made gives dir, made anew unless it was made to its end. The lock is the one of that name.
func (c Cache) Made(lock, dir string, fill func(dir string) error) error {
	if Complete(dir) {
		return nil
	}
	return c.Locked(lock, func() error { return Fill(dir, fill) })
}

// Fill is Made for whoever has the lock.
func Fill(dir string, fill func(dir string) error) error {
	if Complete(dir) {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := fill(dir); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, complete), nil, 0o644)
}

// current is how long an answer of a mirror counts.
const current = 12 * time.Hour

// Current says whether a file was written so lately that what it stands for need not be asked again.
func Current(file string) bool {
	info, err := os.Stat(file)
	return err == nil && time.Since(info.ModTime()) < current
}
