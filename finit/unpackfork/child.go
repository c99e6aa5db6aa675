// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

package unpackfork

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/xz"
)

// decode is the child. It does not return.
//
//lint:ignore U1000 assembly calls it
func decode() {
	confine()
	n, r := decompress()
	job.report.size = uint64(n)
	job.report.result = r
	job.report.done = magic
	// Not exit_group, which the strict mode of seccomp does not know. This thread
	// is all there is.
	for {
		call(syscall.SYS_EXIT, 0, 0, 0, 0, 0)
	}
}

func decompress() (int, xz.Result) {
	var (
		n   int
		ok  bool
		sum uint32
	)
	switch job.format {
	case finit.XZ:
		return job.xz.Decode(job.dst, job.src)
	case finit.Gzip:
		n, sum, ok = job.gzip.Decode(job.dst, job.src)
		ok = ok && job.xz.CRC32(job.dst[:n]) == sum
	case finit.Zstd:
		n, ok = unzstd.Decode(job.dst, job.src)
	}
	if !ok {
		return 0, xz.Data
	}
	return n, xz.OK
}

// call is a system call whose answer nobody waits for.
func call(nr, a, b, c, d, e uintptr) uintptr {
	_, _, errno := syscall.RawSyscall6(nr, a, b, c, d, e, 0)
	return uintptr(errno)
}

// confine gives up what decompression has no use for, before a byte of the file
// is read. What cannot be given up on a kernel is kept, as no load may fail for
// that: without seccomp the child can still map no memory, open no file and use
// no right.
func confine() {
	none := unix.Rlimit{}
	for _, which := range [...]uintptr{unix.RLIMIT_AS, unix.RLIMIT_FSIZE, unix.RLIMIT_CORE, unix.RLIMIT_NOFILE} {
		call(unix.SYS_PRLIMIT64, 0, which, uintptr(unsafe.Pointer(&none)), 0, 0)
	}
	if call(sysCloseRange, 0, ^uintptr(0)>>1, 0, 0, 0) != 0 { // Linux 5.9
		for fd := range uintptr(256) {
			call(unix.SYS_CLOSE, fd, 0, 0, 0, 0)
		}
	}
	call(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // a core that goes to a program has no limit of 0
	call(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	call(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets)), 0, 0, 0)
	call(unix.SYS_PRCTL, unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_STRICT, 0, 0, 0)
}

const sysCloseRange = 436 // the same on all architectures
