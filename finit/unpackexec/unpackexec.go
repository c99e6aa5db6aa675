// SPDX-License-Identifier: Apache-2.0

// Package unpackexec decompresses a module with a program that the caller has
// in its memory, so that it need not link the decompressors itself.
package unpackexec

import (
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/finit"
)

// Run runs program, an ELF executable, with the format's name as its argument
// and fd as its standard input, and returns its output in mapped memory.
//
// The program runs from a file without a name (see ways), by its descriptor in
// /proc/self/fd, or in a detached procfs (Linux 5.2, CAP_SYS_ADMIN) where /proc
// is not mounted. Errors: a [finit.Damage] or EINVAL for a damaged file, EFBIG
// past [finit.MaxImage], a [finit.Hindered] when the program cannot be run.
func Run(program string, fd int, format finit.Format) ([]byte, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	defer unix.Close(pipe[0])
	if _, err := unix.Seek(fd, 0, unix.SEEK_SET); err != nil {
		unix.Close(pipe[1])
		return nil, err
	}
	pid, err := launch(program, []string{"safeload-unpack", format.String()}, fd, pipe[1])
	unix.Close(pipe[1])
	if err != nil {
		return nil, err
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

func (f failed) Error() string { return f.what + ": " + f.err.Error() }
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
		return unix.EINVAL
	case status.Exited() && status.ExitStatus() == 3:
		return unix.EFBIG
	case status.Exited() && finit.Damage(status.ExitStatus()-10).Valid():
		return finit.Damage(status.ExitStatus() - 10)
	}
	return failed{"the decompressor did not run to its end", unix.ENOMEM}
}

// launch starts the program from the first place that it can be run from.
func launch(program string, argv []string, stdin, stdout int) (pid int, err error) {
	var tried []failed
	for i := range ways {
		w := &ways[i]
		exe, err := w.make(w, program)
		if err == nil {
			pid, err = start(exe, argv, stdin, stdout)
			unix.Close(exe)
			if err == nil {
				return pid, nil
			}
			err = failed{"execve", err}
		}
		tried = append(tried, failed{w.name, err})
		if errors.Is(err, unix.ENOEXEC) {
			break // the program is none, wherever it is
		}
	}
	return 0, hindered(tried)
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
	proc, err := detached("proc")
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
