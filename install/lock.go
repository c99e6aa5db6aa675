// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lockFile is in a directory of root's, and only root may open it: anyone who can
// open a file or a directory can hold flock(2)'s lock on it.
const lockFile = stateDir + "/lock"

// lock keeps two processes from changing one root at a time. unlock also removes
// the directories that lock made.
type lock struct {
	f    *os.File
	path string
	made []string // directories, the deepest first
}

var errChanged = errors.New("somebody removed it, or put another file in its place")

// takeLock returns nil on a file system that is mounted read-only: nothing else
// can be changed there either.
func takeLock(r *run) (*lock, error) {
	l := &lock{path: r.path(lockFile)}
	for d := filepath.Dir(lockFile); d != "/" && !exists(r.path(d)); d = filepath.Dir(d) {
		l.made = append(l.made, r.path(d))
	}
	var err error
	for range 100 { // one who ends removes the file, maybe just after we opened it
		if err = l.try(); !errors.Is(err, errChanged) && !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, unix.EROFS):
		return nil, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("lock %s: another safeload install or uninstall is at work: %w", l.path, err)
	}
	l.unmake()
	return nil, fmt.Errorf("lock %s: %w", l.path, err)
}

func (l *lock) try() error {
	dir := filepath.Dir(l.path)
	if err := os.MkdirAll(dir, 0o755); errors.Is(err, fs.ErrExist) {
		return errChanged // it went between two looks of MkdirAll
	} else if err != nil {
		return err
	}
	d, err := os.OpenFile(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s can be changed by others than root", dir)
	}
	const flags = unix.O_RDWR | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	fd, err := unix.Openat(int(d.Fd()), filepath.Base(l.path), flags, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), l.path)
	if err := l.hold(f); err != nil {
		f.Close()
		return err
	}
	l.f = f
	return nil
}

func (l *lock) hold(f *os.File) error {
	var mine, now unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &mine); err != nil {
		return err
	}
	if mine.Mode&unix.S_IFMT != unix.S_IFREG || int(mine.Uid) != os.Geteuid() || mine.Mode&0o077 != 0 {
		return errors.New("it is no file that only root can open; remove it")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if err := unix.Lstat(l.path, &now); err != nil || now.Dev != mine.Dev || now.Ino != mine.Ino {
		return errChanged
	}
	return nil
}

// release removes the file while it holds the lock. A process that has opened the
// file meanwhile sees that it is gone, and opens it anew.
func (l *lock) release() {
	if l == nil {
		return
	}
	_ = remove(l.path)
	l.f.Close()
	l.unmake()
}

func (l *lock) unmake() {
	for _, d := range append([]string{filepath.Dir(l.path)}, l.made...) {
		_ = os.Remove(d) // unless something else is in it
	}
}
