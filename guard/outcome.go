// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// tell leaves the result of our load that failed to those who wait for it in
// user space. The first one stays: those that only waited for it come later.
// followed says that we went ahead while the module was coming already.
func (g *Guard) tell(l Load, err error, followed bool) {
	var e *finit.Error
	if !errors.As(err, &e) || !told(e, followed) ||
		l.file == (registry.Inode{}) || !g.reg.Published() || !g.reg.HasOthers() {
		return
	}
	f := registry.Failure{File: l.file, ByFile: e.Op == "finit_module", Errno: e.Errno, Since: g.own.Since, Ended: g.clock.Boot()}
	if f.Boot = registry.BootID(); f.Boot == "" {
		return
	}
	if had, ok := g.reg.LastFailure(l.Module); ok && had.Boot == f.Boot && had.Overlaps(f.Since) {
		return
	}
	g.reg.RecordFailure(l.Module, f)
}

// told: the error is the load's. Who followed another has his from the kernel,
// unless it is of a kind that is his alone: no right to load, a wait that was
// interrupted, a wait for the name (which knows only that the load is over).
func told(e *finit.Error, followed bool) bool {
	switch e.Op {
	case "finit_module":
	case "init_module":
		if followed {
			return false
		}
	default:
		return false
	}
	switch e.Errno {
	case unix.EEXIST: // it is live
		return false
	case unix.EPERM, unix.EINTR, unix.EBUSY:
		return !followed
	}
	return !followed || sharesResults()
}

// resultWait is how long after a module is gone its owner may take to return and
// to leave its record: free_module waits for an RCU grace period.
const resultWait = time.Second

// outcome is what becomes of us when the load that we waited for is over and
// its module not live.
func (c *contest) outcome() (verdict, *Refused) {
	boot := registry.BootID()
	gap, poll := pollLeast, pollLeast
	next := c.now().Add(8 * gap) // the record is mostly there by then
	for end := c.now().Add(resultWait); ; c.g.clock.Sleep(poll) {
		if f, ok := c.g.reg.LastFailure(c.l.Module); ok && f.Boot == boot && f.Overlaps(c.began) && f.Ended >= c.seen {
			c.g.result = c.l.failed(&f)
			return verdictFailed, nil
		}
		poll = min(poll+poll/4, pollMost/4)
		if now := c.now(); now.After(end) {
			return verdictAgain, nil
		} else if now.After(next) {
			if !c.loading() {
				return verdictAgain, nil
			}
			gap *= 2
			next = c.now().Add(8 * gap)
		}
	}
}

// failed is the error that the kernel would have given to a load that waited
// for another, which failed.
func (l Load) failed(f *registry.Failure) error {
	e := &finit.Error{Op: "finit_module", Module: l.Module, File: l.Path, Errno: f.Errno}
	if !f.ByFile || f.File != l.file || !sharesResults() {
		e.Errno = unix.EBUSY
	}
	return e
}

// loading tells whether an invocation of ours has yet to return from a load that
// was under way when we came.
func (c *contest) loading() bool {
	entries, _ := c.g.reg.Read(c.proc)
	for i := range entries {
		if e := &entries[i]; e.State == registry.StateLoad && e.Module == c.l.Module && e.Since <= c.began {
			return true
		}
	}
	return false
}

// sharesResults: this kernel gives the result of a load to all that wait for the
// same file. idempotent_init_module came with 6.5 (9b9879fc0327).
func sharesResults() bool {
	return proc.KernelAtLeast(6, 5)
}
