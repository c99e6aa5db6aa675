// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard/registry"
	"safeload/internal/clock"
	"safeload/internal/proc"
)

// task is a thread that matters: one that loads, requests or waits for a child,
// and the first thread of every process.
type task struct {
	proc.Stat
	pid    int
	pstart uint64 // of the process
	kind   proc.Kind
	call   proc.Call
	wchan  string

	module string // it is inside the system call for this one
	file   proc.File
	waiter bool // not the one whose init runs

	guessed bool // module is the name of a file that could not be read

	unasked bool // may not load, so its call was not asked for
	brief   bool // its Start is not known: nor was that

	switches uint64 // read for those that may poll
}

func (t *task) requester() bool { return t.State == 'D' && isRequest(t.wchan) }

// throttled: in the semaphore of __request_module (kernel/module/kmod.c).
func (t *task) throttled() bool { return t.State == 'D' && base(t.wchan) == "__request_module" }

// duplicate: asks for a name that somebody has asked for already, and is given
// that one's answer, without a helper of its own (kmod_dup_request_exists_wait in
// kernel/module/dups.c, CONFIG_MODULE_DEBUG_AUTOLOAD_DUPS, since 6.4).
func (t *task) duplicate() bool {
	return t.State == 'D' && base(t.wchan) == "kmod_dup_request_exists_wait"
}

// asks: in request_module, wherever it waits there.
func asks(wchan string) bool {
	switch base(wchan) {
	case "call_usermodehelper_exec", "__request_module", "kmod_dup_request_exists_wait":
		return true
	}
	return false
}

// thread is the task's name in the registry; of no task that of no thread.
func (t *task) thread() registry.Thread {
	if t == nil {
		return registry.Thread{}
	}
	return registry.Thread{TID: t.TID, Start: t.Start}
}

func (t *task) process() bool { return t.TID == t.pid }

// isRequest: the functions in which a task waits for the helper it asked for,
// call_usermodehelper_exec in kernel/umh.c, since 2.6.
func isRequest(wchan string) bool { return base(wchan) == "call_usermodehelper_exec" }

// isWait: the functions in which a task in finit_module or init_module waits
// for another load of the same file or name. Inlining decides which one shows.
func isWait(wchan string) bool {
	switch w := base(wchan); w {
	case "idempotent_init_module", "idempotent_wait_for_completion", "idempotent",
		"init_module_from_file", "load_module", "add_unformed_module",
		"module_patient_check_exists", "finished_loading",
		"sys_finit_module", "sys_init_module", "__do_sys_finit_module", "__do_sys_init_module",
		"__se_sys_finit_module", "__se_sys_init_module",
		"__arm64_sys_finit_module", "__arm64_sys_init_module",
		"__x64_sys_finit_module", "__x64_sys_init_module",
		"__ia32_sys_finit_module", "__ia32_sys_init_module":
		return true
	}
	return false
}

// isTimed: functions that a task sleeps in for a time, after which it goes on
// whatever the others do; or until a frozen cgroup is thawed.
func isTimed(wchan string) bool {
	w := base(wchan)
	for _, part := range []string{"sleep", "schedule_timeout", "schedule_hrtimeout", "firmware", "fw_", "_timeout",
		"freezer", "refrigerator"} {
		for i := 0; i+len(part) <= len(w); i++ {
			if w[i:i+len(part)] == part {
				return true
			}
		}
	}
	return false
}

// isFlush: functions that wait for a work item.
func isFlush(wchan string) bool {
	switch base(wchan) {
	case "__flush_work", "flush_work", "start_flush_work", "__flush_workqueue", "flush_workqueue",
		"flush_delayed_work", "drain_workqueue", "__cancel_work_sync", "__cancel_work_timer",
		"cancel_work_sync", "destroy_workqueue", "async_synchronize_cookie_domain",
		"async_synchronize_full", "wait_for_device_probe", "work_on_cpu", "work_on_cpu_key":
		return true
	}
	return false
}

// isIdle: functions that only epoll_wait, poll, select, futex and sigtimedwait
// sleep in. Who is in one of them neither loads nor asks nor waits for a child,
// and there are hundreds of them for each that matters.
func isIdle(wchan string) bool {
	switch base(wchan) {
	case "ep_poll", "do_epoll_wait", "do_poll", "do_sys_poll", "do_select", "poll_schedule_timeout",
		"futex_wait_queue", "futex_wait_queue_me", "futex_do_wait", "do_sigtimedwait":
		return true
	}
	return false
}

// isItemFlush: those that wait for one item alone.
func isItemFlush(wchan string) bool {
	switch base(wchan) {
	case "__flush_work", "flush_work", "start_flush_work", "flush_delayed_work", "__cancel_work_sync",
		"__cancel_work_timer", "cancel_work_sync", "work_on_cpu", "work_on_cpu_key":
		return true
	}
	return false
}

// base strips what the compiler appends to a clone: .isra.0, .constprop.0, .part.0.
func base(wchan string) string {
	for i := 1; i < len(wchan); i++ {
		if wchan[i] == '.' {
			return wchan[:i]
		}
	}
	return wchan
}

// snapshot is one look at everybody.
type snapshot struct {
	proc    *proc.FS
	tasks   map[int]*task // by thread id
	workers map[int]bool  // workqueue workers
	busy    map[int]*task // of these, those that are at an item
	kids    map[int][]int // processes by parent
	entries map[int]*registry.Entry
	coming  map[string]bool
	now     int64
	names   map[registry.Inode]string

	// What the probe knows, when one runs.
	probed bool
	asked  map[int]int  // helper's pid -> thread that waits for it
	acts   map[int]int  // requesting kernel thread -> the thread whose init has it do so
	sure   map[int]bool // owners whose wait for such a thread rests on the probe
	// requesting kernel thread and owner -> the second's init has not started what the first does
	cleared map[[2]int]bool

	mayHelp map[int][]*task // candidates, by requester
	slept   map[int]lastRun // by thread id, as far as asked for
	pair    map[int]*task   // the likeliest helper of each requester; nil: not asked yet

	unsure bool // somebody who may have asked could not be looked at

	loaders map[int]bool // processes with a thread in a load; nil: not asked yet

	polls  map[int]bool // tasks of commands that may ask again and again
	worked bool         // one of them was found at work

	dups   bool   // what repeats a request is taken to wait for its helper: to show, not to refuse by
	bold   bool   // the settings want suspicion on less evidence
	ahead  *int64 // of a made-up system, what offset returns
	sys    *proc.FS
	memory *memory
	clocks struct {
		read, ok bool
		off      int64
	}
	bearings map[bearing]bool
}

// offset is by how much boot time is ahead of the scheduler's clock, from our
// own last run, which a moment's sleep makes a new one.
func (s *snapshot) offset() (int64, bool) {
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
		me, ok := s.proc.Slept(pid, tid)
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
func (s *snapshot) stateOf(module string) proc.ModuleState {
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
func (s *snapshot) lastRan(pid, tid int) (uint64, bool) {
	r, had := s.slept[tid]
	if !had {
		r.at, r.ok = s.proc.Slept(pid, tid)
		if s.slept == nil {
			s.slept = make(map[int]lastRun)
		}
		s.slept[tid] = r
	}
	return r.at, r.ok
}

// observer is what a system is looked at with.
type observer struct {
	proc, sys *proc.FS
	probe     Ancestry
	unpack    finit.Unpacker            // of compressed files
	names     map[registry.Inode]string // of modules whose file was read before
	memory    *memory
	bold      bool   // see [conf.Bold]
	dups      bool   // see snapshot
	ahead     *int64 // see snapshot
}

// look reads every task. What has ended meanwhile is left out. registered says
// that the entries come from a registry that works.
func (o *observer) look(entries []registry.Entry, registered bool) *snapshot {
	p, sys := o.proc, o.sys
	if o.names == nil {
		o.names = make(map[registry.Inode]string)
	}
	if o.memory == nil {
		o.memory = &memory{rivals: make(map[[3]uint64]bool), flushes: make(map[int]*flush)}
	}
	s := &snapshot{
		proc:    p,
		sys:     sys,
		memory:  o.memory,
		bold:    o.bold,
		dups:    o.dups,
		ahead:   o.ahead,
		busy:    make(map[int]*task),
		names:   o.names,
		tasks:   make(map[int]*task, 256),
		workers: make(map[int]bool, 64),
		kids:    make(map[int][]int, 64),
		entries: make(map[int]*registry.Entry, len(entries)),
		coming:  make(map[string]bool),
		polls:   make(map[int]bool),
		mayHelp: make(map[int][]*task),
		now:     clock.Boot(),
	}
	for i := range entries {
		s.entries[entries[i].PID] = &entries[i]
	}
	if p == nil {
		return s
	}
	_ = p.PIDs(func(pid int) bool {
		s.process(pid)
		return true
	})
	s.above()
	s.dates()
	for pid, e := range s.entries {
		// It may have ended since the registry was read.
		if t := s.tasks[pid]; t == nil || t.Gone() || e.Start != 0 && t.pstart != e.Start {
			delete(s.entries, pid)
		}
	}
	s.listen(!registered)
	s.share()
	// Who is coming is read last: a module seen coming now was coming, or not
	// yet, at all of the reads above; one that has gone live waits for nobody.
	isComing := func(name string) {
		if _, asked := s.coming[name]; name == "" || asked {
			return
		}
		s.coming[name] = s.stateOf(name) == proc.Coming
	}
	for _, t := range s.tasks {
		isComing(t.module)
	}
	for _, e := range s.entries {
		isComing(e.Module)
	}
	s.unpack(o.unpack)
	for _, t := range s.tasks {
		isComing(t.module)
	}
	if o.probe != nil {
		s.ask(o.probe)
	}
	return s
}

// ask takes from the probe who asked for each helper, and for whose init.
func (s *snapshot) ask(probe Ancestry) {
	s.probed = true
	s.asked, s.acts, s.sure = make(map[int]int), make(map[int]int), make(map[int]bool)
	s.cleared = make(map[[2]int]bool)
	clears, _ := probe.(clearer)
	for _, h := range s.helpers() {
		tid, ok := probe.Requester(h.pid)
		if !ok {
			continue
		}
		if t := s.tasks[tid]; t == nil || !t.requester() || t.Start > h.Start {
			continue // of another moment
		}
		s.asked[h.pid] = tid
		if owner, ok := probe.StartedBy(tid); ok {
			s.acts[tid] = owner
		} else if clears != nil {
			for _, o := range s.tasks {
				if o.module != "" && !o.waiter && s.coming[o.module] && clears.NotStartedBy(tid, o.TID) {
					s.cleared[[2]int{tid, o.TID}] = true
				}
			}
		}
	}
}

func (s *snapshot) process(pid int) {
	o, err := s.proc.Outline(pid, pid)
	if err != nil {
		return
	}
	t := &task{Stat: o.Stat, pid: pid, brief: true}
	if o.Kthread() {
		if o.Worker() {
			s.workers[pid] = true
		}
		if o.State == 'D' && s.date(t) {
			t.wchan = s.proc.Wchan(pid, pid)
			s.tasks[pid] = t
		}
		if o.Worker() && s.atWork(t) && s.date(t) {
			s.busy[pid], s.tasks[pid] = t, t
		}
		return
	}
	s.tasks[pid] = t
	s.kids[o.PPID] = append(s.kids[o.PPID], pid)
	if o.Gone() && o.Threads <= 1 || s.waits(t) {
		return
	}
	p := &process{pid: pid, first: t, idle: o.User == 0 && o.Capable}
	if s.inspect(p, t, &o, pid); t.Threads <= 1 {
		return
	}
	_ = s.proc.Threads(pid, func(tid int) bool {
		if tid != pid {
			s.thread(p, tid)
		}
		return true
	})
}

// date reads what an outline lacks. false: the task is gone, or it is another.
func (s *snapshot) date(t *task) bool {
	if !t.brief {
		return true
	}
	var st proc.Stat
	var err error
	if t.process() {
		st, err = s.proc.ProcessStat(t.pid)
	} else {
		st, err = s.proc.Stat(t.pid, t.TID)
	}
	if err != nil || st.PPID != t.PPID {
		t.State = 'R' // nothing is known of it any more
		return false
	}
	if t.Stat, t.brief = st, false; t.process() {
		t.pstart = st.Start
	}
	return true
}

// dates reads since when those are there whose age tells something: helpers,
// and invocations of ours.
func (s *snapshot) dates() {
	for _, h := range s.helpers() {
		s.date(h)
	}
	for pid := range s.entries {
		if t := s.tasks[pid]; t != nil {
			s.date(t)
		}
	}
}

// waits: it is one of ours that waits in user space. None of its threads is in
// a call that matters, and of fifty they would be most of what a look reads.
func (s *snapshot) waits(t *task) bool {
	e := s.entries[t.pid]
	return e != nil && e.State == registry.StateWait && e.Start != 0 && s.date(t) && e.Start == t.pstart
}

// process is what the threads of one have in common.
type process struct {
	pid   int
	first *task
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

// thread looks at one of several threads. Any of them may ask the kernel for a
// module, by socket(2) or mount(2) say.
func (s *snapshot) thread(p *process, tid int) {
	if p.idle && isIdle(s.proc.Wchan(p.pid, tid)) {
		return
	}
	o, err := s.proc.Outline(p.pid, tid)
	if err != nil {
		return
	}
	t := &task{Stat: o.Stat, pid: p.pid, brief: true}
	s.inspect(p, t, &o, tid)
	if t.kind == proc.Other && !asks(t.wchan) || !s.date(t) {
		return
	}
	if !s.date(p.first) {
		return
	}
	t.pstart = p.first.pstart
	s.tasks[tid] = t
}

// above asks for the call of those who stand above a load and may not load
// themselves: a command may go through another user's shell.
func (s *snapshot) above() {
	for _, t := range s.tasks {
		if t.module == "" && s.entries[t.pid] == nil {
			continue
		}
		up := s.tasks[t.PPID]
		for n := 0; up != nil && n < 256; up, n = s.tasks[up.PPID], n+1 {
			if !up.unasked {
				continue
			}
			if up.unasked = false; !s.date(up) || up.Held {
				continue
			}
			n := s.proc.GivenUp()
			call, ok := s.proc.Syscall(up.pid, up.pid)
			if s.proc.GivenUp() != n {
				up.State, up.Held = 'R', true
			}
			if ok {
				up.call = call
				if k := call.Kind(); k != proc.FinitModule && k != proc.InitModule {
					up.kind = k
				}
			}
		}
	}
}

// inspect reads what a thread does in the kernel. Of one that may not load
// nothing is asked that its user can put off for ever (see [proc.FS.Bounded]),
// but where it sleeps in state D, as who asks for a module does.
//
// Where it sleeps costs least to read, and settles it for most.
func (s *snapshot) inspect(p *process, t *task, o *proc.Outline, tid int) {
	n := s.proc.GivenUp()
	s.question(p, t, o, tid)
	if s.proc.GivenUp() != n {
		// It may be at anything, and nobody is told to be waiting for ever
		// because of it.
		t.State, t.Held = 'R', true
		s.unsure = s.unsure || o.State == 'D' && !o.Executes
	}
}

func (s *snapshot) question(p *process, t *task, o *proc.Outline, tid int) {
	if t.unasked = !p.mayLoad(s.proc, o); t.unasked {
		if t.State == 'D' && s.date(t) && !t.Held {
			t.wchan = s.proc.Wchan(t.pid, tid)
		}
		return
	}
	if t.Asleep() {
		if w := s.proc.Wchan(t.pid, tid); isIdle(w) {
			t.wchan = w
			return
		}
	}
	if !s.date(t) || t.Held {
		return
	}
	var ok bool
	if t.call, ok = s.proc.Syscall(t.pid, tid); ok {
		t.kind = t.call.Kind()
	}
	switch t.kind {
	case proc.FinitModule, proc.InitModule:
		t.wchan = s.proc.Wchan(t.pid, tid)
		t.waiter = isWait(t.wchan)
		s.identify(t)
	case proc.Other:
		if t.State == 'D' && (tid == t.pid || !t.call.Idle()) {
			t.wchan = s.proc.Wchan(t.pid, tid)
		}
	}
}

// owners are the threads whose init of a coming module may be running: one,
// unless somebody was caught on the way into the wait.
func (s *snapshot) owners(module string) []*task {
	if !s.coming[module] {
		return nil
	}
	var all []*task
	for _, t := range s.tasks {
		if t.module == module && !t.waiter && (t.kind == proc.FinitModule || t.kind == proc.InitModule) {
			all = append(all, t)
		}
	}
	return all
}

// helpers are the processes that the kernel started and some task waits for.
// call_usermodehelper_exec_work (kernel/umh.c) makes them children of the
// worker, which waits too, for UMH_WAIT_PROC alone; the helpers nobody waits
// for get kthreadd as their parent (CLONE_PARENT).
func (s *snapshot) helpers() []*task {
	var all []*task
	for w := range s.workers {
		for _, pid := range s.kids[w] {
			// One that has ended counts until it is reaped: its requester
			// is not awake yet.
			if t := s.tasks[pid]; t != nil {
				all = append(all, t)
			}
		}
	}
	return all
}

// descends tells whether pid is ancestor or a process below it.
func (s *snapshot) descends(pid, ancestor int) bool {
	for range 64 {
		if pid == ancestor {
			return true
		}
		t := s.tasks[pid]
		if t == nil || t.PPID <= 1 {
			return false
		}
		pid = t.PPID
	}
	return false
}
