// SPDX-License-Identifier: Apache-2.0

// Package treefile opens the files of a module tree or a system's image, which
// may be a stranger's: a pipe, a device or a file without end in the place of
// one neither blocks nor fills the memory.
package treefile

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNotRegular says that there is something else than a file's contents.
var ErrNotRegular = errors.New("no regular file")

// ErrTooLarge says that a file is larger than the one of its name ever is.
var ErrTooLarge = errors.New("larger than such a file ever is")

// Open opens a regular file for reading. Links are followed: trees have them.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		if err == nil {
			err = &os.PathError{Op: "open", Path: path, Err: ErrNotRegular}
		}
		return nil, err
	}
	return f, nil
}

// Read reads a regular file of up to limit bytes. A file of /proc has no size
// before it is read.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLarge := &os.PathError{Op: "read", Path: path, Err: ErrTooLarge}
	if fi, err := f.Stat(); err == nil && fi.Size() > limit {
		return nil, tooLarge
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, tooLarge
	}
	return b, err
}
