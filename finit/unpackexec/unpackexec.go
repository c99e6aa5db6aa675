// SPDX-License-Identifier: Apache-2.0

// Package unpackexec decompresses a module with a program that the caller has
// in its memory, so that it need not link the decompressors itself.
package unpackexec

import (
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"safeload/finit"
)

// Run runs program, an ELF executable, with the format's name as its argument
// and fd as its standard input, and returns its output in mapped memory.
//
// The program runs from a memfd (Linux 3.17) by its name in /proc/self/fd, or
// in a detached procfs (Linux 5.2, CAP_SYS_ADMIN) where /proc is not mounted.
// Errors: a [finit.Damage] or EINVAL for a damaged file, EFBIG past
// [finit.MaxImage], else what kept the program from running.
func Run(program string, fd int, format finit.Format) ([]byte, error) {
	exe, err := memfd(program)
	if err != nil {
		return nil, failed{"keep the decompressor in memory (memfd_create)", err}
	}
	defer unix.Close(exe)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	defer unix.Close(pipe[0])
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		unix.Close(pipe[1])
		return nil, err
	}
	pid, err := start(exe, []string{"safeload-unpack", format.String()}, fd, pipe[1])
	unix.Close(pipe[1])
	if err != nil {
		return nil, failed{"start the decompressor", err}
	}
	var image finit.Image
	readErr := image.ReadFrom(pipe[0])
	if readErr != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	var status unix.WaitStatus
	for {
		if _, err = unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	if readErr == nil {
		readErr = meaning(status, err)
	}
	if readErr != nil {
		image.Free()
		return nil, readErr
	}
	return image.Bytes(), nil
}

// failed is a step that failed, and its errno.
type failed struct {
	what string
	err  error
}

func (f failed) Error() string { return "cannot " + f.what + ": " + f.err.Error() }
func (f failed) Unwrap() error { return f.err }

// meaning makes an error of how the program ended; see cmd/safeload-unpack.
func meaning(status unix.WaitStatus, err error) error {
	switch {
	case err == unix.ECHILD:
		// SIGCHLD is ignored here: whether it succeeded is not known, and
		// the kernel checks the image anyway.
		return nil
	case err != nil:
		return err
	case status.Exited() && status.ExitStatus() == 0:
		return nil
	case status.Exited() && status.ExitStatus() == 1:
		return failed{"decompress", unix.EINVAL}
	case status.Exited() && status.ExitStatus() == 3:
		return unix.EFBIG
	case status.Exited() && finit.Damage(status.ExitStatus()-10).Valid():
		return finit.Damage(status.ExitStatus() - 10)
	}
	return failed{"run the decompressor to its end", unix.ENOMEM}
}

// memfd makes an executable in memory. MFD_EXEC says so to kernels since 6.3
// (vm.memfd_noexec); older ones refuse it.
func memfd(program string) (int, error) {
	fd, err := unix.MemfdCreate("safeload-unpack", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate("safeload-unpack", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, err
	}
	for b := unsafe.Slice(unsafe.StringData(program), len(program)); len(b) > 0; {
		n, err := unix.Write(fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		b = b[n:]
	}
	return fd, nil
}

// start forks and executes exe. Standard error stays closed: the program says
// nothing that its exit code does not.
func start(exe int, argv []string, stdin, stdout int) (int, error) {
	attr := &syscall.ProcAttr{Files: []uintptr{uintptr(stdin), uintptr(stdout), ^uintptr(0)}}
	name := "self/fd/" + strconv.Itoa(exe)
	pid, err := syscall.ForkExec("/proc/"+name, argv, attr)
	if err != syscall.ENOENT && err != syscall.ENOTDIR {
		return pid, err
	}
	// No /proc: run it relative to a detached one. execve looks the path up
	// in the child, whose descriptor of the same number is still open.
	proc, err := detachedProc()
	if err != nil {
		return 0, err
	}
	defer unix.Close(proc)
	cwd, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(cwd)
	if err := unix.Fchdir(proc); err != nil {
		return 0, err
	}
	defer unix.Fchdir(cwd)
	return syscall.ForkExec(name, argv, attr)
}

func detachedProc() (int, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}
