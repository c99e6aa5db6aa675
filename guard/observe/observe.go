// SPDX-License-Identifier: Apache-2.0

// Package observe looks at everybody in /proc: which tasks load a module, ask for
// one, help or wait. It keeps no time and decides nothing.
//
// A [Snapshot] is the facts of one look. [Waits] is what can be read in them: who
// waits for whom, and how certain that is, as a [graph.System].
package observe

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard/registry"
	"safeload/internal/clock"
	"safeload/internal/proc"
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

// bootOffset is by how much boot time is ahead of the scheduler's clock, from our
// own last run, which a moment's sleep makes a new one.
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
	for range 3 {
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

// stateOf is a module's state in the sysfs that is looked at.
func (s *Snapshot) stateOf(module string) proc.ModuleState {
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

// Observer is what a system is looked at with.
type Observer struct {
	Proc, Sys   *proc.FS
	Probe       Ancestry
	Unpack      finit.Unpacker            // of compressed files
	Names       map[registry.Inode]string // of modules whose file was read before
	memory      *memory
	Bold        bool   // see [conf.Bold]
	ShowRepeats bool   // see snapshot
	BootAhead   *int64 // see snapshot
}

// Look reads every task. What has ended meanwhile is left out. registered says
// that the entries come from a registry that works.
func (o *Observer) Look(entries []registry.Entry, registered bool) *Waits {
	p, sys := o.Proc, o.Sys
	if o.Names == nil {
		o.Names = make(map[registry.Inode]string)
	}
	s := &Snapshot{
		Proc:        p,
		sys:         sys,
		ahead:       o.BootAhead,
		busyWorkers: make(map[int]*Task),
		names:       o.Names,
		Tasks:       make(map[int]*Task, 256),
		Workers:     make(map[int]bool, 64),
		Children:    make(map[int][]int, 64),
		Entries:     make(map[int]*registry.Entry, len(entries)),
		Coming:      make(map[string]bool),
		Now:         clock.Boot(),
	}
	for i := range entries {
		s.Entries[entries[i].PID] = &entries[i]
	}
	w := o.newWaits(s)
	if p == nil {
		return w
	}
	_ = p.PIDs(func(pid int) bool {
		s.readProcess(pid)
		return true
	})
	s.readAncestors()
	s.readStarts()
	for pid, e := range s.Entries {
		// It may have ended since the registry was read.
		if t := s.Tasks[pid]; t == nil || t.Gone() || e.Start != 0 && t.ProcessStart != e.Start {
			delete(s.Entries, pid)
		}
	}
	s.readAnnounced(!registered)
	s.shareNames()
	// Who is coming is read last: a module seen coming now was coming, or not
	// yet, at all of the reads above; one that has gone live waits for nobody.
	isComing := func(name string) {
		if _, asked := s.Coming[name]; name == "" || asked {
			return
		}
		s.Coming[name] = s.stateOf(name) == proc.Coming
	}
	for _, t := range s.Tasks {
		isComing(t.Module)
	}
	for _, e := range s.Entries {
		isComing(e.Module)
	}
	s.unpackNames(o.Unpack)
	for _, t := range s.Tasks {
		isComing(t.Module)
	}
	if o.Probe != nil {
		s.askProbe(o.Probe)
	}
	return w
}

func (s *Snapshot) readProcess(pid int) {
	o, err := s.Proc.Outline(pid, pid)
	if err != nil {
		return
	}
	t := &Task{Stat: o.Stat, PID: pid, brief: true}
	if o.Kthread() {
		if o.Worker() {
			s.Workers[pid] = true
		}
		if o.State == 'D' && s.ReadStart(t) {
			t.Wchan = s.Proc.Wchan(pid, pid)
			s.Tasks[pid] = t
		}
		if o.Worker() && s.atWork(t) && s.ReadStart(t) {
			s.busyWorkers[pid], s.Tasks[pid] = t, t
		}
		return
	}
	s.Tasks[pid] = t
	s.Children[o.PPID] = append(s.Children[o.PPID], pid)
	if o.Gone() && o.Threads <= 1 || s.waitsInUserSpace(t) {
		return
	}
	p := &process{pid: pid, first: t, idle: o.User == 0 && o.Capable}
	if s.readThreadState(p, t, &o, pid); t.Threads <= 1 {
		return
	}
	_ = s.Proc.Threads(pid, func(tid int) bool {
		if tid != pid {
			s.readThread(p, tid)
		}
		return true
	})
}

// ReadStart reads what an outline lacks. false: the task is gone, or it is another.
func (s *Snapshot) ReadStart(t *Task) bool {
	if !t.brief {
		return true
	}
	var st proc.Stat
	var err error
	if t.Process() {
		st, err = s.Proc.ProcessStat(t.PID)
	} else {
		st, err = s.Proc.Stat(t.PID, t.TID)
	}
	if err != nil || st.PPID != t.PPID {
		t.State = 'R' // nothing is known of it any more
		return false
	}
	if t.Stat, t.brief = st, false; t.Process() {
		t.ProcessStart = st.Start
	}
	return true
}

// readStarts reads since when those are there whose age tells something: helpers,
// and invocations of ours.
func (s *Snapshot) readStarts() {
	for _, h := range s.Helpers() {
		s.ReadStart(h)
	}
	for pid := range s.Entries {
		if t := s.Tasks[pid]; t != nil {
			s.ReadStart(t)
		}
	}
}

// waitsInUserSpace: it is one of ours that waits in user space. None of its threads is in
// a call that matters, and of fifty they would be most of what a look reads.
func (s *Snapshot) waitsInUserSpace(t *Task) bool {
	e := s.Entries[t.PID]
	return e != nil && e.State == registry.StateWait && e.Start != 0 && s.ReadStart(t) && e.Start == t.ProcessStart
}

// process is what the threads of one have in common.
type process struct {
	pid   int
	first *Task
	idle  bool // root's: most threads are, and where they sleep tells it

	users, asked bool // of our user namespace; was that asked for
}

// mayLoad is [proc.FS.MayLoad] for one thread after another.
func (p *process) mayLoad(f *proc.FS, o *proc.Outline) bool {
	if p.asked && !p.users || !o.Capable {
		return false
	}
	if !p.asked {
		p.users, p.asked = f.OurUsers(p.pid), true
	}
	return p.users
}

// readThread looks at one of several threads. Any of them may ask the kernel for a
// module, by socket(2) or mount(2) say.
func (s *Snapshot) readThread(p *process, tid int) {
	if p.idle && isIdle(s.Proc.Wchan(p.pid, tid)) {
		return
	}
	o, err := s.Proc.Outline(p.pid, tid)
	if err != nil {
		return
	}
	t := &Task{Stat: o.Stat, PID: p.pid, brief: true}
	s.readThreadState(p, t, &o, tid)
	if t.Kind == proc.Other && !IsRequesting(t.Wchan) || !s.ReadStart(t) {
		return
	}
	if !s.ReadStart(p.first) {
		return
	}
	t.ProcessStart = p.first.ProcessStart
	s.Tasks[tid] = t
}

// readAncestors asks for the call of those who stand above a load and may not load
// themselves: a command may go through another user's shell.
func (s *Snapshot) readAncestors() {
	for _, t := range s.Tasks {
		if t.Module == "" && s.Entries[t.PID] == nil {
			continue
		}
		up := s.Tasks[t.PPID]
		for n := 0; up != nil && n < 256; up, n = s.Tasks[up.PPID], n+1 {
			if !up.unasked {
				continue
			}
			if up.unasked = false; !s.ReadStart(up) || up.Held {
				continue
			}
			n := s.Proc.GivenUp()
			call, ok := s.Proc.Syscall(up.PID, up.PID)
			if s.Proc.GivenUp() != n {
				up.State, up.Held = 'R', true
			}
			if ok {
				up.Call = call
				if k := call.Kind(); k != proc.FinitModule && k != proc.InitModule {
					up.Kind = k
				}
			}
		}
	}
}

// readThreadState reads what a thread does in the kernel. Of one that may not load
// nothing is asked that its user can put off for ever (see [proc.FS.Bounded]),
// but where it sleeps in state D, as who asks for a module does.
//
// Where it sleeps costs least to read, and settles it for most.
func (s *Snapshot) readThreadState(p *process, t *Task, o *proc.Outline, tid int) {
	n := s.Proc.GivenUp()
	s.readCall(p, t, o, tid)
	if s.Proc.GivenUp() != n {
		// It may be at anything, and nobody is told to be waiting for ever
		// because of it.
		t.State, t.Held = 'R', true
		s.incomplete = s.incomplete || o.State == 'D' && !o.Executes
	}
}

func (s *Snapshot) readCall(p *process, t *Task, o *proc.Outline, tid int) {
	if t.unasked = !p.mayLoad(s.Proc, o); t.unasked {
		if t.State == 'D' && s.ReadStart(t) && !t.Held {
			t.Wchan = s.Proc.Wchan(t.PID, tid)
		}
		return
	}
	if t.Asleep() {
		if w := s.Proc.Wchan(t.PID, tid); isIdle(w) {
			t.Wchan = w
			return
		}
	}
	if !s.ReadStart(t) || t.Held {
		return
	}
	var ok bool
	if t.Call, ok = s.Proc.Syscall(t.PID, tid); ok {
		t.Kind = t.Call.Kind()
	}
	switch t.Kind {
	case proc.FinitModule, proc.InitModule:
		t.Wchan = s.Proc.Wchan(t.PID, tid)
		t.Waiter = IsWait(t.Wchan)
		s.nameModule(t)
	case proc.Other:
		if t.State == 'D' && (tid == t.PID || !t.Call.Idle()) {
			t.Wchan = s.Proc.Wchan(t.PID, tid)
		}
	}
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
// now, is the measure.
func (s *Snapshot) Asleep(t *Task) time.Duration {
	me, ok := s.Proc.Slept(unix.Getpid(), unix.Gettid())
	if !ok || !t.Asleep() {
		return 0
	}
	it, ok := s.lastRan(t.PID, t.TID)
	if !ok || it > me {
		return 0
	}
	return time.Duration(me - it)
}
