// SPDX-License-Identifier: Apache-2.0

package finit

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Format is how a module file is compressed.
type Format uint8

const (
	Plain Format = iota
	Gzip
	XZ
	Zstd
)

// String returns the name that /sys/module/compression uses, or "" for
// [Plain].
func (f Format) String() string {
	switch f {
	case Gzip:
		return "gzip"
	case XZ:
		return "xz"
	case Zstd:
		return "zstd"
	}
	return ""
}

// Sniff reads the format of an open file from its first bytes, as libkmod does
// (libkmod-file.c). The file's name does not matter. A file that is too short is
// EINVAL. The file offset stays where it was.
func Sniff(fd int) (Format, error) {
	var b [6]byte
	n, err := pread(fd, b[:])
	if err != nil {
		return Plain, err
	}
	if n < len(b) {
		return Plain, unix.EINVAL
	}
	return SniffBytes(b[:]), nil
}

// SniffBytes reads the format from the first bytes of a file. Six are enough.
func SniffBytes(b []byte) Format {
	has := func(magic string) bool {
		return len(b) >= len(magic) && string(b[:len(magic)]) == magic
	}
	switch {
	case has("\x1f\x8b"):
		return Gzip
	case has("\xfd7zXZ\x00"):
		return XZ
	case has("\x28\xb5\x2f\xfd"):
		return Zstd
	}
	return Plain
}

// Unpacker decompresses the module in the open file fd into memory that it
// mapped and that the caller unmaps. It must bound what it allocates: see
// [MaxImage].
type Unpacker func(fd int, format Format) (image []byte, err error)

// unpack decompresses the module in fd, EOPNOTSUPP if nothing can.
func (l Loader) unpack(fd int, format Format) ([]byte, error) {
	if l.Unpack == nil {
		return nil, unix.EOPNOTSUPP
	}
	return l.Unpack(fd, format)
}

// Hindered says why a decompressor could not run. The module is not at fault. Only
// a program without linked decompressors meets it, and its errno alone does not
// tell the cause.
type Hindered struct {
	Text string // what was tried, and what to do
	Err  error  // has the errno
}

func (h *Hindered) Error() string { return h.Text }

// Unwrap returns the cause.
func (h *Hindered) Unwrap() error { return h.Err }

// MaxImage is the largest module image accepted, so that a few hostile bytes
// cannot fill the memory: 256 MiB on 32-bit, 1 GiB on 64-bit machines. The
// kernel copies the image into its vmalloc space, of which 32-bit ARM has 240
// MiB.
const MaxImage = 256<<20 + int64(unsafe.Sizeof(uintptr(0))-4)/4*(768<<20)

// kernelFormat is the format that the kernel decompresses itself, or Plain
// (no CONFIG_MODULE_DECOMPRESS, or a kernel before 5.17).
func kernelFormat() Format {
	var b [16]byte
	n := readSys("module/compression", b[:])
	switch string(b[:n]) {
	case "gzip\n":
		return Gzip
	case "xz\n":
		return XZ
	case "zstd\n":
		return Zstd
	}
	return Plain
}

// kernelCannotUnpack reports whether the kernel answered err for a compressed file
// because it cannot decompress it. The kernel's decompressors lack some checks,
// window sizes, filters and headers of xz, zstd and zlib
// (kernel/module/decompress.c). The module's init has not run in that case.
//
// Init may return the same errno, and must not run twice. So this submits the
// file again with an invalid address for the parameters: load_module copies the
// parameters once it has the image, before it runs any of it, and fails with
// EFAULT.
func kernelCannotUnpack(fd int, flags Flags, err error) bool {
	if err != unix.EINVAL && err != unix.ENOMEM {
		return false
	}
	return submit(func() error {
		_, _, errno := unix.Syscall(unix.SYS_FINIT_MODULE, uintptr(fd), ^uintptr(0), uintptr(flags))
		if errno == 0 {
			return nil
		}
		return errno
	}) == err
}

// readSys reads a file of sysfs into b and returns its length, 0 if it cannot be
// read. Before /init runs there is no /sys; readSys then uses a detached mount
// (fsmount(2), Linux 5.2, CAP_SYS_ADMIN).
func readSys(name string, b []byte) int {
	fd, err := unix.Open("/sys/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		var st unix.Statfs_t
		if unix.Statfs("/sys", &st) == nil && int64(st.Type) == unix.SYSFS_MAGIC {
			return 0
		}
		mnt := detachedSysfs()
		if mnt < 0 {
			return 0
		}
		fd, err = unix.Openat(mnt, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		unix.Close(mnt)
		if err != nil {
			return 0
		}
	}
	defer unix.Close(fd)
	n, err := pread(fd, b)
	if err != nil {
		return 0
	}
	return n
}

func detachedSysfs() int {
	fs, err := unix.Fsopen("sysfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1
	}
	defer unix.Close(fs)
	if unix.FsconfigCreate(fs) != nil {
		return -1
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return -1
	}
	return mnt
}

// pread fills b from the start of the file, or to its end.
func pread(fd int, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := unix.Pread(fd, b[n:], int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return n, nil
}
