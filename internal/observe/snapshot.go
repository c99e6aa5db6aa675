// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// Snapshot is one look at everybody.
type Snapshot struct {
	Proc        *proc.FS
	Tasks       map[int]*Task // by thread id
	Workers     map[int]bool  // workqueue workers
	busyWorkers map[int]*Task // of these, those that are at an item
	Children    map[int][]int // processes by parent
	Entries     map[int]*registry.Entry
	Coming      map[string]bool
	Now         int64
	names       map[registry.Inode]string

	// What the probe knows, when one runs.
	probed      bool
	RequesterOf map[int]int // helper's pid -> thread that waits for it
	startedBy   map[int]int // requesting kernel thread -> the thread whose init has it do so
	// requesting kernel thread and owner -> the second's init has not started what the first does
	cleared map[[2]int]bool

	slept map[int]lastRun // by thread id, as far as asked for

	incomplete bool // somebody who may have asked could not be looked at

	ahead  *int64 // of a made-up system, what offset returns
	sys    *proc.FS
	clocks struct {
		read, ok bool
		off      int64
	}
}

// clockTries is how often the two clocks are compared at most. Three do on a machine that has time; where others have the
// processor meanwhile, a comparison may last too long.
const clockTries = 16

// bootOffset is by how much boot time is ahead of the scheduler's clock, from our
// own last run, which a moment's sleep makes a new one. A tick in a comparison
// makes a later one of it: the offset is as exact as the comparison was short.
func (s *Snapshot) bootOffset() (int64, bool) {
	if s.ahead != nil {
		return *s.ahead, true
	}
	c := &s.clocks
	if c.read {
		return c.off, c.ok
	}
	c.read = true
	pid, tid := unix.Getpid(), unix.Gettid()
	best := int64(1 << 62)
	for i := 0; i < 3 || i < clockTries && best > int64(clockSlack)/3; i++ {
		clock.Sleep(time.Microsecond)
		from := clock.Boot()
		me, ok := s.Proc.Slept(pid, tid)
		took := clock.Boot() - from
		if !ok {
			return 0, false
		}
		if took < best { // with no other run of ours in it
			best, c.off, c.ok = took, from-int64(me), true
		}
	}
	return c.off, c.ok
}

// StateOf is a module's state in the sysfs that is looked at.
func (s *Snapshot) StateOf(module string) proc.ModuleState {
	if s.sys != nil {
		return s.sys.State(module)
	}
	return proc.State(module)
}

// lastRun is when a thread last ran, where the kernel says so.
type lastRun struct {
	at uint64
	ok bool
}

// lastRan asks the kernel once a snapshot: with fifty requests in flight each
// is compared with each helper, and the file is one of the slowest to read.
func (s *Snapshot) lastRan(pid, tid int) (uint64, bool) {
	r, had := s.slept[tid]
	if !had {
		r.at, r.ok = s.Proc.Slept(pid, tid)
		if s.slept == nil {
			s.slept = make(map[int]lastRun)
		}
		s.slept[tid] = r
	}
	return r.at, r.ok
}

// Owners are the threads whose init of a coming module may be running: one,
// unless somebody was caught on the way into the wait.
func (s *Snapshot) Owners(module string) []*Task {
	if !s.Coming[module] {
		return nil
	}
	var all []*Task
	for _, t := range s.Tasks {
		if t.Module == module && !t.Waiter && (t.Kind == proc.FinitModule || t.Kind == proc.InitModule) {
			all = append(all, t)
		}
	}
	return all
}

// Helpers are the processes that the kernel started and some task waits for.
// call_usermodehelper_exec_work (kernel/umh.c) makes them children of the
// worker, which waits too, for UMH_WAIT_PROC alone; the helpers nobody waits
// for get kthreadd as their parent (CLONE_PARENT).
func (s *Snapshot) Helpers() []*Task {
	var all []*Task
	for w := range s.Workers {
		for _, pid := range s.Children[w] {
			// One that has ended counts until it is reaped: its requester
			// is not awake yet.
			if t := s.Tasks[pid]; t != nil {
				all = append(all, t)
			}
		}
	}
	return all
}

// findHiddenWaits finds those that wait for another's load in a function that does
// not show (see hidesCaller). One init of a module runs at a time: where another
// task asks the kernel for a module in the midst of its load of this one, it is
// not run by who sleeps in the same call.
func (s *Snapshot) findHiddenWaits() {
	for _, t := range s.Tasks {
		if t.Module == "" || t.State != 'S' || !hidesCaller(t.Wchan) || !s.Coming[t.Module] {
			continue
		}
		for _, o := range s.Tasks {
			t.Waiter = t.Waiter || o != t && o.Module == t.Module && o.Requester()
		}
	}
}

// Descends tells whether pid is ancestor or a process below it.
func (s *Snapshot) Descends(pid, ancestor int) bool {
	for range 64 {
		if pid == ancestor {
			return true
		}
		t := s.Tasks[pid]
		if t == nil || t.PPID <= 1 {
			return false
		}
		pid = t.PPID
	}
	return false
}

// InCommand tells whether a process belongs to a command of a safeload.
func (s *Snapshot) InCommand(pid int) bool {
	for range 64 {
		t := s.Tasks[pid]
		if t == nil || t.PPID <= 1 {
			return false
		}
		pid = t.PPID
		if e := s.Entries[pid]; e != nil && e.State == registry.StateCommand {
			return true
		}
	}
	return false
}

// HasRequesters tells whether somebody waits for a helper. Whose helper is whose can be
// certain only after two looks.
func (s *Snapshot) HasRequesters() bool {
	for _, t := range s.Tasks {
		if t.Requester() || t.Duplicate() {
			return true
		}
	}
	return false
}

// Asleep is how long ago a task last ran, by the scheduler's clock; ours, just
// now, is the measure. false: the kernel does not tell (see [proc.FS.Slept]).
func (s *Snapshot) Asleep(t *Task) (d time.Duration, known bool) {
	if !t.Asleep() {
		return 0, true
	}
	me, ok := s.Proc.Slept(unix.Getpid(), unix.Gettid())
	if !ok {
		return 0, false
	}
	it, ok := s.lastRan(t.PID, t.TID)
	if !ok || it > me {
		return 0, ok
	}
	return time.Duration(me - it), true
}

// LongAsleep tells whether all of these tasks sleep, for so long those of which the kernel tells. It must tell of one.
func (s *Snapshot) LongAsleep(least time.Duration, tasks ...*Task) bool {
	some := false
	for _, t := range tasks {
		d, known := s.Asleep(t)
		if known && d < least {
			return false
		}
		some = some || known
	}
	return some
}

// atWork tells whether a workqueue worker is at an item, by its name: with '+'
// and the queue at work, with '-' and the queue of its last item when idle
// (wq_worker_comm in kernel/workqueue.c, since 4.18).
func (s *Snapshot) atWork(t *Task) bool {
	if strings.IndexByte(t.Comm, '+') >= 0 {
		return true
	}
	if strings.IndexByte(t.Comm, '-') >= 0 {
		return false
	}
	// It has never been at work, or the kernel does not name queues.
	switch t.State {
	case 'D', 'R':
		return true
	}
	if t.Wchan == "" {
		t.Wchan = s.Proc.Wchan(t.PID, t.TID)
	}
	switch base(t.Wchan) {
	case "", "worker_thread", "rescuer_thread":
		return false
	}
	return true
}
