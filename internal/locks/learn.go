// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Learn finds out how this kernel's locks look from one of our own: a thread that
// reads from a terminal nobody writes to holds the terminal's atomic_read_lock
// (n_tty_read in drivers/tty/n_tty.c), a mutex, and a second reader waits for it.
// It needs a devpts, and Linux 4.13 (TIOCGPTPEER).
func Learn(mem Memory, code Code) (*Reader, error) {
	r := newReader(mem, code, int(unsafe.Sizeof(uintptr(0))))
	sp, task, err := mem.Stack()
	if err != nil {
		return nil, err
	}
	if err := r.findStack(task, sp); err != nil {
		return nil, err
	}
	t, err := newTrial(mem)
	if err != nil {
		return nil, fmt.Errorf("have a lock of our own: %w", err)
	}
	defer t.end()
	// Who sleeps there does so a moment after its system call.
	for range 200 {
		for i := range t.tasks {
			if err = r.findOwner(t.tasks[i], t.tasks[1-i]); err == nil {
				return r, nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil, err
}

// findOwner finds where a lock has its owner, from a thread that waits for it and
// the one that holds it.
func (r *Reader) findOwner(waiter, holder uint64) error {
	p, ok := r.find(waiter)
	if !ok {
		return errors.New("a thread that waits for a lock is not seen in its queue")
	}
	for n := 1; n <= ownerMost; n++ {
		if r.at(p.head-uint64(n*r.word))&^lowestBits == holder {
			r.owner = n
			return nil
		}
	}
	return errors.New("a lock does not have its owner where it was looked for")
}

// trial is two threads of ours, of which one waits for the other.
type trial struct {
	master, slave int
	tasks         [2]uint64 // either may come first
	started       int
	done          chan struct{}
}

func newTrial(mem Memory) (*trial, error) {
	t := &trial{master: -1, slave: -1, done: make(chan struct{}, 2)}
	var err error
	if t.master, err = openTerminal(); err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(t.master, unix.TIOCSPTLCK, 0); err != nil {
		unix.Close(t.master)
		return nil, fmt.Errorf("unlock a terminal: %w", err)
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		unix.Close(t.master)
		return nil, fmt.Errorf("open a terminal: %w", errno)
	}
	t.slave = int(fd)
	for i := range t.tasks {
		if t.tasks[i], err = t.reader(mem); err != nil {
			t.end()
			return nil, err
		}
	}
	return t, nil
}

// openTerminal opens the master of a new terminal: of a devpts of our own, which is
// gone with it, or where that cannot be had of the system's.
func openTerminal() (int, error) {
	const how = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	dir, err := ownTerminals()
	if err == nil {
		defer unix.Close(dir)
		if fd, err := unix.Openat(dir, "ptmx", how, 0); err == nil {
			return fd, nil
		}
	}
	fd, err := unix.Open("/dev/ptmx", how, 0)
	if err != nil {
		return -1, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	return fd, nil
}

func ownTerminals() (int, error) {
	ctx, err := unix.Fsopen("devpts", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(ctx)
	if err := unix.FsconfigCreate(ctx); err != nil {
		return -1, err
	}
	return unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
}

// reader starts a thread that reads from the terminal, and returns where the kernel
// keeps it once it is about to.
func (t *trial) reader(mem Memory) (uint64, error) {
	type known struct {
		task uint64
		err  error
	}
	at := make(chan known)
	go func() {
		// The thread ends with its function: it is not unlocked.
		runtime.LockOSThread()
		defer func() { t.done <- struct{}{} }()
		_, task, err := mem.Stack()
		at <- known{task, err}
		if err != nil {
			return
		}
		var b [1]byte
		for {
			if _, err := unix.Read(t.slave, b[:]); err != unix.EINTR {
				return
			}
		}
	}()
	k := <-at
	if k.err != nil {
		<-t.done
		return 0, k.err
	}
	t.started++
	return k.task, nil
}

func (t *trial) end() {
	unix.Close(t.master)
	for range t.started {
		<-t.done
	}
	unix.Close(t.slave)
}
