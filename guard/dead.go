// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"safeload/guard/registry"
	"safeload/internal/clock"
	"safeload/internal/proc"
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

// attendance is what a look for the one who runs an init has shown.
type attendance uint8

const (
	unclear attendance = iota // some thread could not be asked
	present                   // somebody runs it, or nothing speaks against it
	nobody
)

// rollcall looks for the thread that runs a module's init.
type rollcall struct {
	proc, sys *proc.FS
	module    string
	id        uint64       // of the module, as it was when outside began
	outside   map[int]bool // threads found outside of a load of this module since
	since     uint64       // in ticks: a thread that was started later is not the one
}

// Of a call that is not over at once: a thread that is on a processor cannot be
// asked, and is asked again.
const (
	rollTries = 8
	rollGap   = 20 * time.Millisecond
)

// call looks until it is clear, but not long. Nobody is said only after two
// looks that came to that.
func (r *rollcall) call() attendance {
	if !r.proc.Oopsed() {
		return present
	}
	if r.proc.Hides() || !r.proc.Outermost() {
		return unclear
	}
	before := unclear
	for try := range rollTries {
		if try > 0 {
			clock.Sleep(rollGap)
		}
		a := r.look()
		if a == present || a == nobody && before == nobody {
			return a
		}
		before = a
	}
	return unclear
}

// coming returns what tells this load of the module from another.
func (r *rollcall) coming() (id uint64, ok bool) {
	if r.sys == nil || r.sys.State(r.module) != proc.Coming {
		return 0, false
	}
	return r.sys.ModuleID(r.module)
}

// look asks each thread once. Those that are held keep the answer open.
func (r *rollcall) look() (a attendance) {
	r.proc.Bounded(func(p *proc.FS) {
		try := *r
		try.proc = p
		a = try.ask()
		r.id, r.outside, r.since = try.id, try.outside, try.since
	})
	return a
}

func (r *rollcall) ask() attendance {
	id, ok := r.coming()
	if !ok {
		return present // it went live, or away
	}
	if r.outside == nil || r.id != id {
		r.id, r.outside, r.since = id, make(map[int]bool), uint64(clock.Boot()/clock.Tick)
	}
	all := nobody
	first := false
	err := r.proc.PIDs(func(pid int) bool {
		first = first || pid == 1
		switch r.process(pid) {
		case present:
			all = present
			return false
		case unclear:
			all = unclear
		}
		return true
	})
	if all == present {
		return present
	}
	if again, ok := r.coming(); !ok || again != id {
		return present
	}
	if err != nil || !first {
		return unclear
	}
	return all
}

func gone(err error) bool { return err == unix.ENOENT || err == unix.ESRCH }

// process asks the threads of a process. A list of threads may lack some of them
// when one of them ends meanwhile (next_tid in fs/proc/base.c), and counts only
// if it has as many as there were before and after.
func (r *rollcall) process(pid int) attendance {
	if pid == unix.Getpid() {
		return nobody
	}
	for range 3 {
		st, err := r.proc.Outline(pid, pid)
		switch {
		case gone(err), err == nil && (st.Kthread() || st.Gone() && st.Threads <= 1):
			return nobody
		case err != nil:
			return unclear
		case st.Threads <= 1:
			return r.thread(pid, pid)
		}
		n := 0
		all := nobody
		err = r.proc.Threads(pid, func(tid int) bool {
			n++
			switch r.thread(pid, tid) {
			case present:
				all = present
			case unclear:
				all = min(all, unclear)
			}
			return all != present
		})
		if all == present {
			return present
		}
		after, again := r.proc.Outline(pid, pid)
		if gone(err) || gone(again) {
			return nobody
		}
		if err == nil && again == nil && st.Threads == n && after.Threads == n {
			return all
		}
	}
	return unclear
}

func (r *rollcall) thread(pid, tid int) attendance {
	if r.outside[tid] {
		return nobody
	}
	o, err := r.proc.Outline(pid, tid)
	if err == nil && (o.Gone() || o.Executes && o.User > 0 || !o.Capable) {
		r.outside[tid] = true
		return nobody
	}
	st, err := r.proc.Stat(pid, tid)
	switch {
	case gone(err):
		return nobody
	case err != nil, st.Held:
		return unclear
	}
	younger := st.Start > r.since && st.Start <= uint64(clock.Boot()/clock.Tick)
	if st.Gone() || st.Exiting() || younger || r.proc.CannotLoad(pid, tid) {
		r.outside[tid] = true
		return nobody
	}
	if st.Asleep() && isIdle(r.proc.Wchan(pid, tid)) {
		r.outside[tid] = true
		return nobody
	}
	call, ok := r.proc.Syscall(pid, tid)
	if !ok {
		return unclear
	}
	if call.Elsewhere() {
		r.outside[tid] = true
		return nobody
	}
	// Who waits for another's load does so in state S: an init that stands at a
	// lock of the same functions is in state D.
	if st.State == 'S' && isWait(r.proc.Wchan(pid, tid)) {
		return nobody
	}
	t := &task{Stat: st, pid: pid, kind: call.Kind(), call: call}
	s := &snapshot{proc: r.proc, names: make(map[registry.Inode]string)}
	s.identify(t)
	switch {
	case t.module == "" || t.guessed:
		return unclear
	case t.module == r.module:
		return present
	case r.sys.State(t.module) != proc.Coming:
		return unclear
	}
	r.outside[tid] = true // it loads another module
	return nobody
}

// roll tells whether anybody runs the init that this load would wait for.
func (c *contest) roll() attendance {
	if c.rolls == nil {
		c.rolls = &rollcall{proc: c.proc, sys: c.sys, module: c.l.Module}
	}
	r := c.rolls
	if !r.proc.Oopsed() || !r.proc.Initial() {
		return present // or the kernel refuses the load
	}
	// One calls the roll, and the others sleep until he has: who is at work cannot
	// be asked, and fifty who ask each other would all be at work.
	deadline := c.now()
	if c.last == nil {
		deadline = deadline.Add(holdMost)
	}
	for {
		if id, ok := r.coming(); ok && c.g.reg.IsDead(r.module, r.number(id)) {
			return nobody
		}
		if c.g.reg.Lock() {
			break
		}
		if !c.now().Before(deadline) {
			return unclear
		}
		c.g.clock.Sleep(pollMost)
	}
	defer c.g.reg.Unlock()
	a := r.call()
	if a == nobody {
		c.g.reg.MarkDead(r.module, r.number(r.id))
	}
	return a
}

// dead is the refusal of a load whose module stays coming for ever.
func (c *contest) dead() *Refused {
	r := &Refused{Module: c.l.Module, Request: c.g.o.Request, PID: c.g.self.PID, Dead: true}
	if r.Request == "" {
		r.Request = c.l.Module
	}
	return r
}

// number tells a load from all others, those before the last boot included: a
// registry may outlast it. Empty where the kernel does not tell the boot.
func (r *rollcall) number(id uint64) string {
	boot, err := r.proc.Read("sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(boot)) + "." + proc.Utoa(id)
}

func dead(p, sys *proc.FS) []string {
	var names []string
	if sys == nil || !p.Oopsed() {
		return nil
	}
	for _, module := range p.Loading() {
		r := &rollcall{proc: p, sys: sys, module: module}
		if r.call() == nobody {
			names = append(names, module)
		}
	}
	slices.Sort(names)
	return names
}

// Dead names the modules of the running system that are coming and whose init
// nobody runs any more, as far as that is certain; root sees it.
func Dead() []string {
	p, err := proc.OpenProc()
	if err != nil {
		return nil
	}
	defer p.Close()
	sys, err := proc.OpenSys()
	if err != nil {
		return nil
	}
	defer sys.Close()
	return dead(p, sys)
}
