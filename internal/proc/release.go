// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Release is the running kernel's, by uname(2).
func Release() (string, error) {
	b, err := release()
	return string(b), err
}

func release() ([]byte, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	b := u.Release[:]
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	return b, nil
}

// KernelAtLeast compares the running kernel's version; false if that is not known.
func KernelAtLeast(major, minor uint64) bool {
	b, err := release()
	return err == nil && atLeast(b, major, minor)
}

func atLeast(release []byte, major, minor uint64) bool {
	first, rest, _ := bytes.Cut(release, []byte{'.'})
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	a, ok1 := Uint(first)
	b, ok2 := Uint(rest[:n])
	return ok1 && ok2 && (a > major || a == major && b >= minor)
}
