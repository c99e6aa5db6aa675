// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"safeload/internal/treefile"
)

// run is one Install or Uninstall.
type run struct {
	o       Options
	live    bool   // the kernel that runs is the one to tell
	source  string // the helper's file on this machine
	lock    *lock
	changes int
	undo    []undo
}

type undo struct {
	what string
	do   func() error
}

func begin(o Options) (*run, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	root, err := filepath.EvalSymlinks(o.Root)
	if err != nil {
		return nil, fmt.Errorf("open the root to install into: %w", err)
	}
	if o.Root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	switch o.Via {
	case "":
		o.Via = Sysctl
	case Sysctl, Divert:
	default:
		return nil, fmt.Errorf("install via %q: only sysctl and divert are known", o.Via)
	}
	if o.Report == nil {
		o.Report = func(string) {}
	}
	if o.divert == nil {
		o.divert = dpkgDivert
	}
	if o.try == nil {
		o.try = try
	}
	r := &run{o: o, live: o.Root == "/" && ownsKernel()}
	if o.live != nil {
		r.live = *o.live
	}
	if o.DryRun {
		return r, nil
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("install: root is needed (a dry run with -n is not)")
	}
	if r.lock, err = takeLock(r); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *run) end() { r.lock.release() }

// ownsKernel is false in a chroot and in a container: kernel.modprobe is the
// host's there, and the host has no helper at the path that we would write.
func ownsKernel() bool {
	var mine, init unix.Stat_t
	if unix.Stat("/", &mine) != nil || unix.Stat("/proc/1/root/.", &init) != nil ||
		mine.Dev != init.Dev || mine.Ino != init.Ino {
		return false
	}
	for _, sign := range []string{"/run/.containerenv", "/.dockerenv", "/run/systemd/container"} {
		if _, err := os.Stat(sign); err == nil {
			return false
		}
	}
	// In a container with a root of its own, /proc/1 is the container's: only
	// the initial pid namespace has kthreadd as 2.
	comm, err := os.ReadFile("/proc/2/comm")
	return err == nil && string(comm) == "kthreadd\n"
}

// path returns where this process finds a file of the system. It follows links in
// the file's directory as the system would, such as the absolute ones of an image.
func (r *run) path(name string) string { return inRoot(r.o.Root, name) }

func inRoot(root, name string) string {
	if root == "/" {
		return name
	}
	dir, base := filepath.Split(name)
	at := "/"
	pending := strings.Split(strings.Trim(dir, "/"), "/")
	for links := 0; len(pending) > 0; {
		part := pending[0]
		pending = pending[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		target, err := os.Readlink(filepath.Join(root, at, part))
		if err != nil || links > 40 {
			at = filepath.Join(at, part)
			continue
		}
		links++
		if filepath.IsAbs(target) {
			at = "/"
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return filepath.Join(root, at, base)
}

// try tries a modprobe. A dry run starts nothing and only looks for the file.
func (r *run) try(t trial) error {
	if !r.o.DryRun {
		return r.o.try(t)
	}
	if !exists(resolve(t.root, t.path)) {
		return fmt.Errorf("%s: %w", t.path, fs.ErrNotExist)
	}
	return nil
}

func (r *run) say(line string) { r.o.Report(line) }

// change makes one change and remembers how to undo it. what is a sentence
// that begins with a verb.
func (r *run) change(what string, do, back func() error) error {
	r.changes++
	if r.o.DryRun {
		r.say("would " + what)
		return nil
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r.say(what)
	if back != nil {
		r.undo = append(r.undo, undo{what, back})
	}
	return nil
}

// rollback undoes all changes, the last one first, and returns why, with what
// could not be undone.
func (r *run) rollback(why error) error {
	for i := len(r.undo) - 1; i >= 0; i-- {
		u := r.undo[i]
		if err := u.do(); err != nil {
			why = errors.Join(why, fmt.Errorf("undo %q: %w", u.what, err))
		} else {
			r.say("undone: " + u.what)
		}
	}
	r.undo = nil
	return why
}

// writeFile gives a file this content, atomically. It leaves a file alone that has
// it already.
func (r *run) writeFile(name string, content []byte, mode fs.FileMode, what string) error {
	path := r.path(name)
	old, err := treefile.Read(path, maxFile)
	switch {
	case err == nil && bytes.Equal(old, content):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	existed := err == nil
	return r.change(what, func() error {
		return replace(path, bytes.NewReader(content), mode)
	}, func() error {
		if existed {
			return replace(path, bytes.NewReader(old), mode)
		}
		return remove(path)
	})
}

// copyFile replaces to by a copy of the program at from, atomically.
func (r *run) copyFile(from, to, what string) error {
	content, err := treefile.Read(from, maxFile)
	if err != nil {
		return err
	}
	old, err := treefile.Read(to, maxFile)
	if err == nil && bytes.Equal(old, content) {
		return nil
	}
	existed := err == nil
	return r.change(what, func() error {
		return replace(to, bytes.NewReader(content), 0o755)
	}, func() error {
		if existed {
			return replace(to, bytes.NewReader(old), 0o755)
		}
		return remove(to)
	})
}

// replace writes a file beside path, syncs it and renames it to path. Readers find
// the old file or the new one, also after a loss of power.
func replace(path string, content io.Reader, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp := path + ".safeload-new"
	if err := remove(temp); err != nil {
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = remove(temp)
		}
	}()
	if _, err = io.Copy(f, content); err != nil {
		return err
	}
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
