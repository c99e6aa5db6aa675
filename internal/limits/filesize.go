// SPDX-License-Identifier: Apache-2.0

// Package limits knows the process's own limits.
package limits

import "golang.org/x/sys/unix"

// FileSize returns EFBIG if a file may not get as long as this (RLIMIT_FSIZE): a write past that limit ends the process by
// SIGXFSZ. What kmod does not write must not end a load that kmod's would survive. See generic_write_check_limits and
// inode_newsize_ok in the kernel; devices, pipes and sysfs have no such limit.
func FileSize(bytes int64) error {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_FSIZE, &l) == nil && uint64(bytes) > l.Cur {
		return unix.EFBIG
	}
	return nil
}
