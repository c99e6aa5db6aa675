// SPDX-License-Identifier: Apache-2.0

//go:build linux && (amd64 || arm || arm64)

// Package unpackfork decompresses a module in a child of this process that runs nothing
// else and can do nothing else: no capability, no descriptor, no memory but what it
// was given, no system call but its exit.
//
// The child is a fork of a Go program, and none of the runtime is in it: other
// threads may have held any of its locks. So the child's code is bound by the
// contract of internal/nowhere: it runs on a stack of its own, with a g of
// zeroes, and allocates nothing. TestCallGraph holds it to that. A fault ends it
// by a signal, as all signals are blocked there.
//
// Beside a program for the purpose (package unpackexec) that spares an execve
// and the start of another Go runtime, which is most of what a small module
// takes; and there need be no /proc, and no place that a program can be run from.
package unpackfork

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/finit/internal/damage"
	"safeload/internal/inflate"
	"safeload/internal/xz"
	"safeload/internal/zstd"
)

// ErrCannot says that there is no such child: the caller finds another way.
var ErrCannot = errors.New("cannot fork to decompress")

// report is what the child leaves behind its output.
type report struct {
	done   uint32 // magic
	result xz.Result
	size   uint64
}

const (
	magic     = 0x736c7866
	alignment = 16
)

// job is what the child finds in its copy of this process's memory.
var job struct {
	sync.Mutex
	dst, src []byte
	format   finit.Format
	report   *report
	xz       xz.Decoder
	gzip     inflate.Decoder
	stack    [64 << 10]byte
}

// unzstd is apart, as the runtime's start makes a map of all variables that have a
// pointer, the larger they are the larger: here it is page faults of each start.
var unzstd zstd.Decoder

// fork forks; the child goes on at the top of the stack with decode.
//
//go:noescape
func fork(top unsafe.Pointer) int

// Run decompresses the file fd into mapped memory, which the caller unmaps.
// Errors are a [finit.Damage], EFBIG past [finit.MaxImage], or [ErrCannot], which
// is also the answer for a gzip or zstd file that is not as those programs make it,
// or that needs more than they do by themselves: what is wrong with such a file, the
// caller finds otherwise.
func Run(fd int, format finit.Format) ([]byte, error) {
	if race || format == finit.Plain {
		return nil, ErrCannot
	}
	var in finit.Image
	defer in.Free()
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		return nil, err
	}
	switch err := in.ReadFrom(fd); {
	case err == unix.ENOMEM:
		return nil, ErrCannot // a program that reads it as it goes may do with less
	case err != nil:
		return nil, err
	}
	size, err := sizeOf(in.Bytes(), format)
	if err != nil {
		return nil, err
	}
	at := (int(size) + alignment - 1) &^ (alignment - 1)
	out, err := unix.Mmap(-1, 0, at+int(unsafe.Sizeof(report{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, ErrCannot
	}
	n, err := run(out, in.Bytes(), format, int(size), at)
	if err != nil {
		finit.Unmap(out)
		return nil, err
	}
	return out[:n], nil
}

// sizeOf is how much room the contents need.
func sizeOf(src []byte, format finit.Format) (int64, error) {
	size := int64(-1)
	switch format {
	case finit.XZ:
		if size = xz.Size(src); size > finit.MaxImage {
			return 0, unix.EFBIG
		}
	case finit.Gzip:
		size = inflate.Size(src)
	case finit.Zstd:
		if size = zstd.Size(src); size == 0 {
			size = -1 // libkmod takes that for one that is not said
		}
	}
	if size < 0 || size > finit.MaxImage {
		return 0, ErrCannot
	}
	return size, nil
}

// run has the child decompress src to out[:size], and say how it went behind it.
func run(out, src []byte, format finit.Format, size, at int) (int, error) {
	job.Lock()
	defer job.Unlock()
	job.dst, job.src, job.format = out[:size:size], src, format
	job.report = (*report)(unsafe.Pointer(&out[at]))
	pid := start()
	if pid < 0 {
		return 0, ErrCannot
	}
	for {
		_, err := unix.Wait4(pid, nil, 0, nil)
		if err != unix.EINTR {
			break // ECHILD where SIGCHLD is ignored: it has ended all the same
		}
	}
	said := *job.report
	job.dst, job.src, job.report = nil, nil, nil
	switch {
	case said.done != magic, said.result != xz.OK && format != finit.XZ:
		return 0, ErrCannot
	case said.result != xz.OK:
		return 0, damage.OfXZ(said.result)
	case said.size > uint64(size):
		return 0, finit.XZData
	}
	return int(said.size), nil
}

// start forks with all signals blocked, as the handlers are the runtime's.
func start() int {
	syscall.ForkLock.Lock() // no descriptor is made meanwhile, which the child would have to close
	defer syscall.ForkLock.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	all, before := ^uint64(0), uint64(0)
	mask(&all, &before)
	pid := fork(unsafe.Pointer(&job.stack[len(job.stack)-32]))
	mask(&before, nil)
	return pid
}

func mask(set, old *uint64) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
}
