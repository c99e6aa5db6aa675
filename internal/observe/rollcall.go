// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// An oops in a module's init ends the thread that runs it, and leaves the module
// coming until the next boot: no signal, no rmmod and no other load ends that.
// To submit it again is worse than to wait: Linux 6.12 finds the dead thread's
// stack in its list of loads (idempotent_init_module), oopses, and then spins.
//
// A load of such a module is refused, when it is certain that nobody runs that
// init any more. Three things are needed for that: the kernel has oopsed since
// boot; the module is coming; and each thread there is has been found outside of
// the calls that load, at some moment since. Who runs an init is inside of one of
// them all the time, so a thread once found outside is not the one, and a thread
// that was started since is not, either. What cannot be seen keeps the answer
// open, and then the load waits, as kmod's would.

// Attendance is what a look for the one who runs an init has shown.
type Attendance uint8

const (
	Unclear Attendance = iota // some thread could not be asked
	Present                   // somebody runs it, or nothing speaks against it
	Nobody
)

// RollCall looks for the thread that runs a module's init.
type RollCall struct {
	Proc, Sys *proc.FS
	Module    string
	LoadID    uint64       // of the module, as it was when outside began
	outside   map[int]bool // threads found outside of a load of this module since
	since     uint64       // in ticks: a thread that was started later is not the one
}

// Of a call that is not over at once: a thread that is on a processor cannot be
// asked, and is asked again.
const (
	rollTries = 8
	rollGap   = 20 * time.Millisecond
)

// Call looks until it is clear, but not long. Nobody is said only after two
// looks that came to that.
func (r *RollCall) Call() Attendance {
	if !r.Proc.Oopsed() {
		return Present
	}
	if r.Proc.Hides() || !r.Proc.Outermost() {
		return Unclear
	}
	before := Unclear
	for try := range rollTries {
		if try > 0 {
			clock.Sleep(rollGap)
		}
		a := r.Look()
		if a == Present || a == Nobody && before == Nobody {
			return a
		}
		before = a
	}
	return Unclear
}

// ComingLoad returns what tells this load of the module from another.
func (r *RollCall) ComingLoad() (id uint64, ok bool) {
	if r.Sys == nil || r.Sys.State(r.Module) != proc.Coming {
		return 0, false
	}
	return r.Sys.ModuleID(r.Module)
}

// Look asks each thread once. Those that are held keep the answer open.
func (r *RollCall) Look() (a Attendance) {
	r.Proc.Bounded(func(p *proc.FS) {
		try := *r
		try.Proc = p
		a = try.ask()
		r.LoadID, r.outside, r.since = try.LoadID, try.outside, try.since
	})
	return a
}

func (r *RollCall) ask() Attendance {
	id, ok := r.ComingLoad()
	if !ok {
		return Present // it went live, or away
	}
	if r.outside == nil || r.LoadID != id {
		r.LoadID, r.outside, r.since = id, make(map[int]bool), uint64(clock.Boot()/clock.Tick)
	}
	all := Nobody
	first := false
	err := r.Proc.PIDs(func(pid int) bool {
		first = first || pid == 1
		switch r.process(pid) {
		case Present:
			all = Present
			return false
		case Unclear:
			all = Unclear
		}
		return true
	})
	if all == Present {
		return Present
	}
	if again, ok := r.ComingLoad(); !ok || again != id {
		return Present
	}
	if err != nil || !first {
		return Unclear
	}
	return all
}

func gone(err error) bool { return err == unix.ENOENT || err == unix.ESRCH }

// process asks the threads of a process. A list of threads may lack some of them
// when one of them ends meanwhile (next_tid in fs/proc/base.c), and counts only
// if it has as many as there were before and after.
func (r *RollCall) process(pid int) Attendance {
	if pid == unix.Getpid() {
		return Nobody
	}
	for range 3 {
		st, err := r.Proc.Outline(pid, pid)
		switch {
		case gone(err), err == nil && (st.Kthread() || st.Gone() && st.Threads <= 1):
			return Nobody
		case err != nil:
			return Unclear
		case st.Threads <= 1:
			return r.thread(pid, pid)
		}
		n := 0
		all := Nobody
		err = r.Proc.Threads(pid, func(tid int) bool {
			n++
			switch r.thread(pid, tid) {
			case Present:
				all = Present
			case Unclear:
				all = min(all, Unclear)
			}
			return all != Present
		})
		if all == Present {
			return Present
		}
		after, again := r.Proc.Outline(pid, pid)
		if gone(err) || gone(again) {
			return Nobody
		}
		if err == nil && again == nil && st.Threads == n && after.Threads == n {
			return all
		}
	}
	return Unclear
}

func (r *RollCall) thread(pid, tid int) Attendance {
	if r.outside[tid] {
		return Nobody
	}
	o, err := r.Proc.Outline(pid, tid)
	if err == nil && (o.Gone() || o.Executes && o.User > 0 || !o.Capable) {
		r.outside[tid] = true
		return Nobody
	}
	st, err := r.Proc.Stat(pid, tid)
	switch {
	case gone(err):
		return Nobody
	case err != nil, st.Held:
		return Unclear
	}
	younger := st.Start > r.since && st.Start <= uint64(clock.Boot()/clock.Tick)
	if st.Gone() || st.Exiting() || younger || r.Proc.CannotLoad(pid, tid) {
		r.outside[tid] = true
		return Nobody
	}
	if st.Asleep() && isIdle(r.Proc.Wchan(pid, tid)) {
		r.outside[tid] = true
		return Nobody
	}
	call, ok := r.Proc.Syscall(pid, tid)
	if !ok {
		return Unclear
	}
	if call.Elsewhere() {
		r.outside[tid] = true
		return Nobody
	}
	// Who waits for another's load does so in state S: an init that stands at a
	// lock of the same functions is in state D.
	if st.State == 'S' && IsWait(r.Proc.Wchan(pid, tid)) {
		return Nobody
	}
	t := &Task{Stat: st, PID: pid, Kind: call.Kind(), Call: call}
	s := &Snapshot{Proc: r.Proc, names: make(map[registry.Inode]string)}
	s.nameModule(t)
	switch {
	case t.Module == "" || t.guessed:
		return Unclear
	case t.Module == r.Module:
		return Present
	case r.Sys.State(t.Module) != proc.Coming:
		return Unclear
	}
	r.outside[tid] = true // it loads another module
	return Nobody
}

// LoadName tells a load from all others, those before the last boot included: a
// registry may outlast it. Empty where the kernel does not tell the boot.
func (r *RollCall) LoadName(id uint64) string {
	boot, err := r.Proc.Read("sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(boot)) + "." + proc.Utoa(id)
}
