// SPDX-License-Identifier: Apache-2.0

package unpackexec

import (
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/internal/limits"

	"safeload/finit"
)

// way is a place that the program can be run from: a file without a name, that
// nobody but this process can reach. None rests on what a directory holds, or
// on who may write there.
type way struct {
	name string
	make func(w *way, program string) (exe int, err error)
	disk bool // not only in memory
}

// A memfd is the cheapest. vm.memfd_noexec=2 (Linux 6.3) refuses it with
// EACCES; so may a security module. The file systems in memory come before
// what may be a disk, and a mount of our own, which a seccomp filter of a
// service may end the process for, after those that need none. That one needs
// CAP_SYS_ADMIN and Linux 5.2, but no directory that can be written and is not
// mounted noexec.
var ways = []way{
	{name: "a memfd", make: memfd},
	{name: "/run", make: inDir},
	{name: "/dev/shm", make: inDir},
	{name: "a tmpfs of its own", make: tmpfs},
	{name: "/tmp", make: inDir},
	{name: "/", make: inDir, disk: true},
}

// memfd makes an executable in memory. MFD_EXEC says so to kernels since 6.3
// (vm.memfd_noexec); older ones refuse it.
func memfd(_ *way, program string) (int, error) {
	fd, err := unix.MemfdCreate("safeload-unpack", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate("safeload-unpack", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, failed{"memfd_create", err}
	}
	if err := writeAll(fd, program); err != nil {
		unix.Close(fd)
		return -1, failed{"write", err}
	}
	return fd, nil
}

// inDir makes a file in a directory, one that never has a name: O_TMPFILE, and
// O_EXCL so that it cannot get one. Where others may mount, only a tmpfs will
// do: what a file server says is in the file need not be what was written.
func inDir(w *way, program string) (int, error) {
	fd, err := unix.Open(w.name, unix.O_TMPFILE|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o700)
	if err != nil {
		return -1, failed{"open a file without a name", err}
	}
	defer unix.Close(fd) // before it is run: what is open for writing is ETXTBSY
	var fs unix.Statfs_t
	switch err := unix.Fstatfs(fd, &fs); {
	case err != nil:
		return -1, failed{"statfs", err}
	case fs.Flags&unix.ST_NOEXEC != 0:
		return -1, failed{"mounted noexec", unix.EACCES}
	case !w.disk && int64(uint32(fs.Type)) != unix.TMPFS_MAGIC:
		return -1, failed{"not a tmpfs", unix.EACCES}
	}
	if err := fill(fd, program); err != nil {
		return -1, err
	}
	exe, err := reopen(fd)
	if err != nil {
		return -1, failed{"open it to be run", err}
	}
	return exe, nil
}

// tmpfs makes a file on a mount that no path leads to.
func tmpfs(_ *way, program string) (int, error) {
	dir, err := detached("tmpfs")
	if err != nil {
		return -1, failed{"mount", err}
	}
	defer unix.Close(dir)
	const name = "safeload-unpack"
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o700)
	if err != nil {
		return -1, failed{"create a file", err}
	}
	err = fill(fd, program)
	unix.Close(fd)
	if err != nil {
		return -1, err
	}
	exe, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, failed{"open it to be run", err}
	}
	return exe, nil
}

// fill makes the file the program, whatever the umask is.
func fill(fd int, program string) error {
	if err := unix.Fchmod(fd, 0o500); err != nil {
		return failed{"chmod", err}
	}
	if err := writeAll(fd, program); err != nil {
		return failed{"write", err}
	}
	return nil
}

func writeAll(fd int, program string) error {
	if err := limits.FileSize(int64(len(program))); err != nil {
		return err
	}
	for b := unsafe.Slice(unsafe.StringData(program), len(program)); len(b) > 0; {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// reopen opens a file of ours once more, for reading alone.
func reopen(fd int) (int, error) {
	name := "self/fd/" + strconv.Itoa(fd)
	h, err := unix.Open("/proc/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != unix.ENOENT && err != unix.ENOTDIR {
		return h, err
	}
	proc, err := detached("proc")
	if err != nil {
		return -1, err
	}
	defer unix.Close(proc)
	return unix.Openat(proc, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// detached mounts a file system of the kernel's where no path leads to it.
func detached(kind string) (int, error) {
	fs, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
}

// hindered says what was tried in vain, and what to do. Its errno is that of
// the first way, which the others only stand in for.
func hindered(tried []failed) error {
	text := "cannot run the decompressor"
	for i, f := range tried {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		text += sep + "from " + f.what + ": " + f.err.Error()
	}
	text += "; mount /run without noexec, boot with vm.memfd_noexec below 2, or store the modules uncompressed"
	return &finit.Hindered{Text: text, Err: tried[0].err}
}
