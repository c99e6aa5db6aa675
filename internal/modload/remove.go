// SPDX-License-Identifier: Apache-2.0

package modload

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/strerror"
	"safeload/kmod"
)

// Remove removes m and what goes with it, as modprobe's rmmod_do_module does.
func (r *Request) Remove(m *kmod.Module) error { return r.remove(m, r.RemoveHolders, false) }

// removeList removes modules in reverse order. It passes over builtin ones.
func (r *Request) removeList(list []*kmod.Module, stop bool) error {
	for i := len(list) - 1; i >= 0; i-- {
		if err := r.remove(list[i], false, true); err != nil && (stop || r.stopped) {
			return err
		}
	}
	return nil
}

func (r *Request) remove(m *kmod.Module, holders, ignoreBuiltin bool) error {
	// Soft dependencies may lead back to where they began.
	for _, begun := range r.removing {
		if begun == m {
			return nil
		}
	}
	r.removing = append(r.removing, m)
	defer func() { r.removing = r.removing[:len(r.removing)-1] }()
	var pre, post []*kmod.Module
	var command string
	var hasCommand bool
	if !r.IgnoreCommand {
		pre, post = m.Softdeps()
		command, hasCommand = m.Remove()
	}
	if !hasCommand && !r.IgnoreLoaded {
		if gone, err := r.nothingToRemove(m, ignoreBuiltin); gone {
			return err
		}
	}

	if err := r.removeList(post, false); err != nil {
		return err
	}
	if holders {
		if err := r.removeList(r.Holders(m), true); err != nil {
			return err
		}
	}
	if !hasCommand && !r.IgnoreLoaded && r.RemoveWaitMsec == 0 {
		if n, errno := r.RefCount(m); errno == 0 && n > 0 {
			return r.fail(InUse, m, syscall.EBUSY)
		}
	}
	if hasCommand {
		if err := r.removeCommand(m, command); err != nil {
			return err
		}
	} else if err := r.removeWithUnused(m); err != nil {
		return err
	}
	return r.removeList(pre, false)
}

// nothingToRemove reports whether m is not in the kernel, with an error if that is
// one.
func (r *Request) nothingToRemove(m *kmod.Module, ignoreBuiltin bool) (gone bool, err error) {
	if m.Builtin() {
		if ignoreBuiltin {
			return true, nil
		}
		return true, r.fail(Builtin, m, syscall.ENOENT)
	}
	if _, errno := r.State(m); errno != 0 {
		if r.FirstTime {
			return true, r.fail(NotLoaded, m, syscall.ENOENT)
		}
		return true, nil
	}
	return false, nil
}

// removeWithUnused removes m, and the dependencies that nothing uses any more. It
// ignores the errors of the dependencies.
func (r *Request) removeWithUnused(m *kmod.Module) error {
	if _, errno := r.RefCount(m); errno != syscall.ENOENT {
		if err := r.removeOne(m); err != nil {
			return err
		}
	}
	for _, d := range m.Deps() {
		if n, errno := r.RefCount(d); errno == 0 && n == 0 {
			if err := r.removeOne(d); err != nil && r.stopped {
				return err
			}
		}
	}
	return nil
}

// removeOne removes the module itself. If there is a time to wait, it tries again
// until that is over.
func (r *Request) removeOne(m *kmod.Module) error {
	r.Teller.Removing("rmmod", m.Name)
	if r.DryRun {
		return nil
	}
	wait := r.RemoveWaitMsec != 0
	if wait {
		r.Teller.Slow()
	}
	var end, interval uint64
	var errno syscall.Errno
	for {
		err := r.System.Remove(m.Name, r.Force)
		if err == nil {
			return nil
		}
		errno = Errno(err)
		if !wait {
			r.Teller.Lib(kmod.LogErr, "kmod_module_remove_module",
				"could not remove '"+m.Name+"': "+strerror.Text(errno)+"\n")
		}
		if errno == syscall.EEXIST {
			if !r.FirstTime {
				return nil
			}
			if err := r.fail(NotLoaded, m, errno); r.stopped {
				return err
			}
			break
		}
		if errno != syscall.EAGAIN || !wait {
			break
		}
		if end == 0 {
			end, interval = now()+r.RemoveWaitMsec, 1
		}
		sleepUntil(backoff(end, &interval))
		if interval == 0 {
			break
		}
	}
	if wait {
		return r.fail(Removal, m, errno)
	}
	return &Error{Removal, m.Name, errno}
}

// backoff returns when to try again: after twice the last interval; near the end,
// earlier; after the end, at once and for the last time (interval 0).
func backoff(end uint64, interval *uint64) (until uint64) {
	t := now()
	if end <= t {
		*interval = 0
		return t
	}
	limit := end - t
	d := *interval * 2
	for d > limit {
		d /= 2
	}
	if d == 0 {
		d = limit
	}
	*interval = d
	return t + d
}

// now is the monotonic clock in milliseconds.
func now() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano()) / 1e6
}

func sleepUntil(msec uint64) {
	ts := unix.NsecToTimespec(int64(msec) * 1e6)
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil)
}

// removeCommand runs a remove command, as modprobe's own command_do does. Unlike
// libkmod's, that prints the command.
func (r *Request) removeCommand(m *kmod.Module, command string) error {
	command = expandOptions(command, "")
	r.Teller.Removing("remove", command)
	if r.DryRun {
		return nil
	}
	status, err := r.run("remove", m.Name, command)
	if err != nil && r.System.Refused(err) {
		return err
	}
	if err == nil && exitStatusOf(status) == 0 {
		return nil
	}
	return r.fail(CommandFailed, m, syscall.EINVAL)
}
