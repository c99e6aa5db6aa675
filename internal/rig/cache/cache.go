// SPDX-License-Identifier: Apache-2.0

// Package cache is the directory of what the rig has fetched and made, which several runs share.
package cache

import (
	"context"
	"errors"
	"fmt"
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

// lockLook is how often a lock that another run has is looked at.
const lockLook = 100 * time.Millisecond

// Locked runs f, one at a time of that name on this machine. Waiting for another run ends with ctx: flock(2) itself would
// go on after a signal that Go handles.
func (c Cache) Locked(ctx context.Context, name string, f func() error) error {
	lock, err := os.OpenFile(c.Path("locks", strings.ReplaceAll(name, "/", "_")), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	for {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f()
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("lock %s: %w", lock.Name(), err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another run's lock %s: %w", lock.Name(), context.Cause(ctx))
		case <-time.After(lockLook):
		}
	}
}

// complete is in a directory that was made to its end.
const complete = ".complete"

// Complete says whether a directory was.
func Complete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, complete))
	return err == nil
}

// Made gives dir, made anew unless it was made to its end. The lock is the one of that name.
func (c Cache) Made(ctx context.Context, lock, dir string, fill func(dir string) error) error {
	if Complete(dir) {
		return nil
	}
	return c.Locked(ctx, lock, func() error { return Fill(dir, fill) })
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
