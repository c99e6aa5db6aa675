// SPDX-License-Identifier: Apache-2.0

package modprobe

import (
	"syscall"

	"golang.org/x/sys/unix"

	"safeload/internal/strerror"
	"safeload/kmod"
)

// removeName removes all modules that a name stands for.
func (p *program) removeName(name string) error {
	defer p.ctx.Forget()
	p.request = name
	list, err := p.ctx.Lookup(name)
	if err == kmod.ErrNotFound {
		p.log.log(p.fatal, "Module ", name, " not found.\n")
		return syscall.ENOENT
	}
	if err != nil {
		return err
	}
	for _, m := range list {
		if err := p.removeModule(m, p.removeHolders, false); err != nil {
			return err
		}
	}
	return nil
}

// removeList removes modules in reverse order; builtin ones are passed over.
func (p *program) removeList(list []*kmod.Module, stop bool) error {
	for i := len(list) - 1; i >= 0; i-- {
		if err := p.removeModule(list[i], false, true); err != nil && stop {
			return err
		}
	}
	return nil
}

func (p *program) removeModule(m *kmod.Module, holders, ignoreBuiltin bool) error {
	// Soft dependencies may lead back to where they began.
	for _, r := range p.removing {
		if r == m {
			return nil
		}
	}
	p.removing = append(p.removing, m)
	defer func() { p.removing = p.removing[:len(p.removing)-1] }()
	var pre, post []*kmod.Module
	var command string
	var hasCommand bool
	if !p.ignoreCommand {
		pre, post = m.Softdeps()
		command, hasCommand = m.Remove()
	}
	if !hasCommand && !p.ignoreLoaded {
		state, errno := p.state(m)
		if errno != 0 {
			if p.firstTime {
				p.log.log(p.fatal, "Module ", m.Name, " is not in kernel.\n")
				return syscall.ENOENT
			}
			return nil
		}
		if state == stateBuiltin {
			if ignoreBuiltin {
				return nil
			}
			p.log.log(p.fatal, "Module ", m.Name, " is builtin.\n")
			return syscall.ENOENT
		}
	}

	_ = p.removeList(post, false)
	if holders {
		if err := p.removeList(p.holders(m), true); err != nil {
			return err
		}
	}
	if !hasCommand && !p.ignoreLoaded && p.waitMsec == 0 {
		if n, errno := p.refcount(m); errno == 0 && n > 0 {
			p.log.log(p.fatal, "Module ", m.Name, " is in use.\n")
			return syscall.EBUSY
		}
	}
	if hasCommand {
		if err := p.removeCommand(m, command); err != nil {
			return err
		}
	} else {
		if _, errno := p.refcount(m); errno != syscall.ENOENT {
			if err := p.removeOne(m); err != nil {
				return err
			}
		}
		// Dependencies that nothing uses any more; errors do not count.
		for _, d := range m.Deps() {
			if n, errno := p.refcount(d); errno == 0 && n == 0 {
				_ = p.removeOne(d)
			}
		}
	}
	_ = p.removeList(pre, false)
	return nil
}

// removeOne removes the module itself, with -w trying again until its time is
// over.
func (p *program) removeOne(m *kmod.Module) error {
	p.showLine("rmmod ", m.Name, "\n")
	if p.dryRun {
		return nil
	}
	if p.waitMsec != 0 {
		endBySignals()
	}
	var end, interval uint64
	var errno syscall.Errno
	for {
		err := p.env.Remove(m.Name, p.force)
		if err == nil {
			return nil
		}
		errno = errnoOf(err)
		if p.waitMsec == 0 {
			p.log.lib(kmod.LogErr, "kmod_module_remove_module",
				"could not remove '"+m.Name+"': "+strerror.Text(errno)+"\n")
		}
		if errno == syscall.EEXIST {
			if !p.firstTime {
				return nil
			}
			p.log.log(p.fatal, "Module ", m.Name, " is not in kernel.\n")
			break
		}
		if errno != syscall.EAGAIN || p.waitMsec == 0 {
			break
		}
		if end == 0 {
			end, interval = now()+p.waitMsec, 1
		}
		sleepUntil(backoff(end, &interval))
		if interval == 0 {
			break
		}
	}
	if p.waitMsec != 0 {
		p.log.err("could not remove '", m.Name, "': ", strerror.Text(errno), "\n")
	}
	return errno
}

// backoff returns when to try again: after twice the last interval, less near
// the end, at once and for the last time after it.
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

// removeCommand is command_do of modprobe itself, which unlike libkmod's
// prints the command, for removing.
func (p *program) removeCommand(m *kmod.Module, command string) error {
	command = expandOptions(command, "")
	p.showLine("remove ", command, "\n")
	if p.dryRun {
		return nil
	}
	status, err := p.run("remove", m.Name, command)
	if err != nil && p.env.Reported != nil && p.env.Reported(err) {
		return err
	}
	if err == nil && exitStatusOf(status) == 0 {
		return nil
	}
	p.log.log(p.fatal, "Error running remove command for ", m.Name, "\n")
	return syscall.EINVAL
}

// showLine prints what is done, if asked to, at once.
func (p *program) showLine(parts ...string) {
	if p.show || p.verbose > kmod.LogWarning {
		p.out.print(parts...)
		p.out.flush()
	}
}
