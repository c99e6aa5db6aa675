// SPDX-License-Identifier: Apache-2.0

// Package kmsg writes lines to the kernel's log, for a program that has
// nowhere else to speak: the kernel starts its helper without descriptors.
package kmsg

import (
	"golang.org/x/sys/unix"

	"safeload/internal/limits"
)

// Warning is the priority of syslog(3), facility user.
const Warning = 1<<3 | 4

// maxLine is below the 1024 less prefix of kernel/printk/printk.c
// (PRINTKRB_RECORD_MAX): a longer write fails with EINVAL.
const maxLine = 900

// Write puts one line into the log at /dev/kmsg. Bytes that could end the
// line, start another record or move a terminal are written as \xNN, so that
// a name chosen by somebody else stays inside its line. Where there is no
// /dev, a device node is made in a place that is removed at once. EPERM
// without CAP_SYSLOG under kernel.dmesg_restrict; ENXIO with printk off.
func Write(priority int, line string) error {
	fd, err := openDevice()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := make([]byte, 0, len(line)+8)
	b = append(b, '<')
	b = appendUint(b, priority)
	b = append(b, '>')
	b = AppendSafe(b, line)
	if len(b) > maxLine {
		b = append(b[:maxLine-3], "..."...)
	}
	b = append(b, '\n')
	for {
		_, err = unix.Write(fd, b)
		if err != unix.EINTR {
			return err
		}
	}
}

// Print writes one line to standard error. false: that is closed, only held open
// by the entry stub (O_PATH on a directory), the null device, or a file that may
// not grow (RLIMIT_FSIZE).
func Print(line string) bool {
	flags, err := unix.FcntlInt(2, unix.F_GETFL, 0)
	if err != nil || flags&unix.O_PATH != 0 {
		return false
	}
	b := append(AppendSafe(make([]byte, 0, len(line)+1), line), '\n')
	var st unix.Stat_t
	if unix.Fstat(2, &st) == nil {
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFCHR:
			if uint64(st.Rdev) == unix.Mkdev(1, 3) {
				return false
			}
		case unix.S_IFREG:
			at, _ := unix.Seek(2, 0, unix.SEEK_CUR)
			if limits.FileSize(max(at, st.Size)+int64(len(b))) != nil {
				return false
			}
		}
	}
	n, err := unix.Write(2, b)
	return err == nil && n == len(b)
}

func openDevice() (int, error) {
	const flags = unix.O_WRONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NOFOLLOW
	fd, err := unix.Open("/dev/kmsg", flags, 0)
	if err == nil {
		if isKmsg(fd) {
			return fd, nil
		}
		unix.Close(fd)
		return -1, unix.ENODEV
	}
	if err != unix.ENOENT {
		return -1, err
	}
	// Before /init there may be no /dev: the root file system is then the
	// initramfs, which takes nodes. mem_devs in drivers/char/mem.c: 1:11.
	// Several may speak at once, and one may be killed here.
	node := string(appendUint([]byte("/.safeload-kmsg."), unix.Getpid()))
	err = unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 11)))
	if err == unix.EEXIST { // of one with our pid, before
		_ = unix.Unlink(node)
		err = unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 11)))
	}
	if err != nil {
		return -1, err
	}
	fd, err = unix.Open(node, flags, 0)
	_ = unix.Unlink(node)
	return fd, err
}

func isKmsg(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && uint64(st.Rdev) == unix.Mkdev(1, 11)
}

// AppendSafe appends s with control characters and what is not ASCII written
// as \xNN. What is safe stays as it is.
func AppendSafe(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

func appendUint(b []byte, v int) []byte {
	if v >= 10 {
		b = appendUint(b, v/10)
	}
	return append(b, byte('0'+v%10))
}
