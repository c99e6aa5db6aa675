// SPDX-License-Identifier: Apache-2.0

// Package kernelfs mounts the kernel's file systems that the probe needs, where
// no init system has.
package kernelfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// MountTracefs mounts tracefs, if nothing is there.
func MountTracefs() { mountIfAbsent("tracefs", "/sys/kernel/tracing", "") }

// MountBPF mounts a bpffs of root's, if nothing is there: it would be everybody's,
// mode 1777, if not said.
func MountBPF() { mountIfAbsent("bpf", "/sys/fs/bpf", "mode=0700") }

// mountIfAbsent mounts a kernel file system where the kernel has an empty
// directory for it, as an init system would. What fails is missed, and named,
// by whoever needs it.
func mountIfAbsent(fstype, dir, options string) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil && fs.Type != unix.SYSFS_MAGIC {
		return
	}
	_ = unix.Mount(fstype, dir, fstype, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
}
