// SPDX-License-Identifier: Apache-2.0

// Package finit asks the running kernel to load and unload modules:
// finit_module(2), init_module(2) and delete_module(2) on arm, arm64 and
// amd64. It knows files and errnos; names, configuration and policy are other
// packages' business.
//
// A call lasts as long as the module's init function, or as another task's load of
// the same module. Signals of the Go runtime must not end it: the preemption
// signal SIGURG would abort an interruptible wait in finit_module with EINTR.
// Signals of a user must end it: SIGTERM and SIGINT kill a waiting modprobe.
// Signals are therefore blocked on the calling thread only. The other threads of
// the process still receive them, and a fatal one ends the whole process, as it
// does with kmod.
//
// An init that makes the kernel oops ends the thread that submitted it. This
// package then ends the process by SIGSEGV, as the kernel ends kmod: see watched.
//
// The package is linked into the kernel's module helper, which runs hundreds
// of times during boot, mostly to find nothing. It imports no decompressor:
// see [Loader].
package finit

import (
	"golang.org/x/sys/unix"
)

// The last step of a load: the kernel gets the file. Before it guard/submit.go has let
// it through; error.go says what the kernel's errno means.

// Flags are the flags of finit_module(2), as in linux/module.h. The zero value
// asks for all checks.
type Flags uint

const (
	// IgnoreModversions loads in spite of symbol version mismatches
	// (modprobe --force-modversion). Since Linux 3.8.
	IgnoreModversions Flags = 1
	// IgnoreVermagic loads in spite of another version magic (modprobe
	// --force-vermagic). Since Linux 3.8.
	IgnoreVermagic Flags = 2
	// CompressedFile tells the kernel to decompress the file itself. Since
	// Linux 5.17 with CONFIG_MODULE_DECOMPRESS. [Load] sets it when it
	// applies; callers need not.
	CompressedFile Flags = 4
)

// UnloadFlags are the flags of delete_module(2).
type UnloadFlags uint

const (
	// NonBlock makes a module in use fail at once (EWOULDBLOCK). Kernels
	// since 3.13 never wait in delete_module, with or without it.
	NonBlock UnloadFlags = unix.O_NONBLOCK
	// Force removes a module in use and taints the kernel; needs
	// CONFIG_MODULE_FORCE_UNLOAD.
	Force UnloadFlags = unix.O_TRUNC
)

// Loader loads modules. The zero value is ready for use.
type Loader struct {
	// Unpack is used for a compressed module that the kernel does not
	// decompress. nil: such a module fails with EOPNOTSUPP.
	//
	// The decompressors are in a package of their own (unpack). To link them
	// costs a process about a fifth of its start-up time, and the kernel's helper
	// would pay that for each name that it does not find.
	Unpack Unpacker
}

// Load submits the module in the file path to the kernel with the given
// parameters ("name=value name=value", may be empty) and returns when its init
// function has. name is used in errors only.
//
// The kernel decompresses a file (gzip, xz, zstd, known by its magic bytes) if
// /sys/module/compression says that it can. Otherwise, or if the kernel fails to,
// l does. A kernel without finit_module (ENOSYS) gets the file by init_module.
//
// Load needs CAP_SYS_MODULE. Every error is an [*Error].
func (l Loader) Load(path, name, params string, flags Flags) error {
	fail := func(op string, err error) error {
		return newError(op, name, path, err)
	}
	fd, err := Open(path)
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)

	format, err := Sniff(fd)
	if err != nil {
		return fail("read", err)
	}
	flags &^= CompressedFile
	if format == Plain || kernelFormat() == format {
		if format != Plain {
			flags |= CompressedFile
		}
		err = submit(func() error { return unix.FinitModule(fd, params, int(flags)) })
		if err == nil {
			return nil
		}
		if err != unix.ENOSYS && (format == Plain || l.Unpack == nil || !kernelCannotUnpack(fd, flags, err)) {
			return fail("finit_module", err)
		}
	}

	var image []byte
	if format == Plain {
		image, err = mapFile(fd)
	} else {
		image, err = l.unpack(fd, format)
	}
	if err != nil {
		op := "decompress"
		if format == Plain {
			op = "read"
		}
		return fail(op, err)
	}
	defer Unmap(image)
	if flags&(IgnoreModversions|IgnoreVermagic) != 0 {
		if err := strip(image, flags); err != nil {
			return fail("strip", err)
		}
	}
	if err := submit(func() error { return unix.InitModule(image, params) }); err != nil {
		return fail("init_module", err)
	}
	return nil
}

// maxAgain bounds how often an interrupted call is repeated.
const maxAgain = 16

// Unload removes a live module. name may be in either spelling ('-' or '_').
// It needs CAP_SYS_MODULE. Every error is an [*Error].
func Unload(name string, flags UnloadFlags) error {
	var err error
	for range maxAgain {
		// Interrupted before the module's exit has run: mutex_lock_interruptible
		// in delete_module.
		if err = submit(func() error { return unix.DeleteModule(name, int(flags)) }); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return newError("delete_module", name, "", err)
	}
	return nil
}

// Open opens a module's file and waits for nothing that lies in its place. The
// descriptor keeps O_NONBLOCK, which reads of a regular file do not heed.
func Open(path string) (int, error) {
	// O_NONBLOCK: to open a pipe in a module's place must not wait for its
	// other end. EAGAIN: somebody holds a lease (fcntl(2)) on the file.
	flags := unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOCTTY | unix.O_NONBLOCK
	for {
		fd, err := unix.Open(path, flags, 0)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			if flags&unix.O_NONBLOCK == 0 {
				return fd, err
			}
			flags &^= unix.O_NONBLOCK
		default:
			return fd, err
		}
	}
}

// mapFile maps the file copy-on-write, so that [strip] can change the image
// and pages that nobody touches stay shared. init_module copies from the
// mapping in the kernel, where a file cut short meanwhile is EFAULT, not
// SIGBUS; strip is the one reader in user space.
func mapFile(fd int) ([]byte, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Size <= 0 {
		return nil, unix.EINVAL // as finit_module: kernel_read_file
	}
	if st.Size > MaxImage {
		return nil, unix.EFBIG
	}
	return unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
}
