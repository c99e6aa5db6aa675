// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"
)

// What saved guests may take of the cache. A run of the whole matrix needs some 2 GB of it.
const savedMost = 6 << 30

// One that was used a short time ago may be about to be resumed, by this run or another.
const savedInUse = 2 * time.Hour

// used marks a saved guest as used now.
func (s saved) used() error {
	now := time.Now()
	return os.Chtimes(s.dir, now, now)
}

// boundSaved removes saved guests, those that were not used for longest first, until the rest takes no more than most
// bytes. It leaves alone what is in use.
func boundSaved(dir string, most int64, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	type guest struct {
		dir  string
		size int64
		used time.Time
	}
	var guests []guest
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() {
			continue // another run removed it
		}
		g := guest{dir: filepath.Join(dir, e.Name()), used: info.ModTime()}
		files, _ := os.ReadDir(g.dir)
		for _, f := range files {
			if info, err := f.Info(); err == nil {
				g.size += info.Size()
			}
		}
		total += g.size
		guests = append(guests, g)
	}
	sort.Slice(guests, func(i, j int) bool { return guests[i].used.Before(guests[j].used) })
	var errs []error
	for _, g := range guests {
		if total <= most || now.Sub(g.used) < savedInUse {
			break
		}
		errs = append(errs, os.RemoveAll(g.dir))
		total -= g.size
	}
	return errors.Join(errs...)
}
