// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/entry"
)

// system runs command by the shell as system(3) does: the wait status, and an
// error only if no process could be made. Meanwhile it calls look: see
// [modload.Guard].
func system(command string, env []string, look func() int) (status int, err error) {
	restore := ignoreInterrupts()
	defer restore()
	var pid int
	entry.Limited(func() {
		pid, err = syscall.ForkExec("/bin/sh", []string{"sh", "-c", command}, &syscall.ProcAttr{
			Env:   env,
			Files: []uintptr{0, 1, 2},
		})
	})
	if err != nil {
		if err == syscall.EAGAIN || err == syscall.ENOMEM {
			return -1, err
		}
		return 127 << 8, nil // as a shell that is not there
	}
	meanwhile(pid, look)
	for {
		var ws syscall.WaitStatus
		_, err := syscall.Wait4(pid, &ws, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return -1, err
		}
		return int(ws), nil
	}
}

// meanwhile calls look until it wants to be called no more or the child has
// ended. It waits by a descriptor of the child (Linux 5.3) and so needs no other
// thread, which may be one too many; where there is none nobody looks.
func meanwhile(pid int, look func() int) {
	if look == nil {
		return
	}
	msec := look()
	if msec < 0 {
		return
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for msec >= 0 {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, msec)
		switch {
		case err == unix.EINTR:
		case err != nil || n > 0:
			return
		default:
			msec = look()
		}
	}
}

// ignoreInterrupts keeps an interrupt from the terminal, which is meant for
// the command, from ending the program that waits for it.
func ignoreInterrupts() (restore func()) {
	var old [2]sigaction
	signals := [2]int{int(unix.SIGINT), int(unix.SIGQUIT)}
	ignore := sigaction{handler: sigIgn}
	for i, sig := range signals {
		rtSigaction(sig, &ignore, &old[i])
	}
	return func() {
		for i, sig := range signals {
			rtSigaction(sig, &old[i], nil)
		}
	}
}
