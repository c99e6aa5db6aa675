// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"safeload/guard/ancestry"
	"safeload/guard/graph"
	"safeload/guard/registry"
	"safeload/internal/clock"
	"safeload/internal/conf"
	"safeload/internal/proc"
)

// Survey is what two looks at a whole system, a moment apart, show of its
// module loads; one look is enough where it shows nobody who asks or is stuck.
// Nothing need be installed for it; root sees most.
type Survey struct {
	Looked   int // tasks, in one look
	Took     time.Duration
	Tasks    []Seen    // those that load, request, help or wait, by thread id
	Edges    []Edge    // who of them waits for whom
	Findings []Finding // who waits for itself
	Faults   []string  // what could not be seen
	Dead     []string  // modules that stay coming: nobody runs their init any more
}

// Seen is a task that has a part in loading.
type Seen struct {
	PID, TID, PPID int
	Start          uint64 // of the process, in ticks since boot
	Comm           string
	Command        string // its arguments, as it tells them; not of who may not load
	Role           string
	Kernel         bool // a kernel thread
	State          byte
	Wchan          string
	Call           string // finit_module, init_module, or empty
	Stack          string // where the kernel shows it
	Module         string // that it loads or waits for
	File           string
	Initstate      string
	Duplicate      bool          // repeats a request, and waits for the first one's end
	Params         string        // that its load was given
	Request        string        // that it was started for
	Token, Parent  string        // of an invocation of safeload
	Depth          int           // invocations above it
	Running        time.Duration // since the process began
	Asleep         time.Duration // since it last ran; 0 when not known
	Since          time.Duration // since an invocation of safeload began what it does
}

// What a task does, as far as loading goes.
const (
	RoleLoad      = "load"      // runs a module's init, or is on the way there
	RoleWait      = "wait"      // waits for another's load of the same module
	RoleSymbol    = "symbol"    // waits, 30 s at most, for a symbol of a coming module
	RoleRequest   = "request"   // waits for the helper it asked the kernel for
	RoleThrottled = "throttled" // more than 50 ask at once: waits 5 s to ask
	RoleDuplicate = "duplicate" // asks for what another asks for already: waits for that one's helper
	RoleHelper    = "helper"    // was started by the kernel
	RoleCommand   = "command"   // waits for an install or remove command
	RoleShell     = "shell"     // is that command, or what it waits for
)

// Edge is one wait, for the end of any one of To, the likeliest first.
type Edge struct {
	From      int
	To        []int
	Certainty graph.Certainty
	Why       string
}

// Finding is a circle of waits. Nothing in it moves unless one of its loads
// fails.
type Finding struct {
	Module    string // the one load that had best fail
	Certainty graph.Certainty
	Chain     []Hop
	Waiter    int  // process whose failing costs least
	Signal    bool // a signal reaches it there; otherwise only a reboot helps
	Ours      bool // it is safeload itself, about to decide
}

// surveyGap is the time between the looks: what rests on sleeping tasks must
// hold in both.
const surveyGap = 150 * time.Millisecond

// asleepLong is how long those of a circle that is only likely must have
// slept. It is the guard's patience: before, slow and stuck look the same.
const asleepLong = DefaultPatience

// Examine makes a survey with the Dir, the Probe and the Unpack of o. The
// registry is read, never made.
func Examine(o Options) (*Survey, error) {
	dir, probe := o.Dir, o.Probe
	p, err := proc.OpenProc()
	if err != nil {
		return nil, err
	}
	defer p.Close()
	began := time.Now()
	sv := &Survey{}
	sys, err := proc.OpenSys()
	if err != nil {
		sv.Faults = append(sv.Faults, "cannot see /sys: "+err.Error()+"; which modules are coming is not known")
	}
	defer sys.Close()
	if unix.Geteuid() != 0 {
		sv.Faults = append(sv.Faults, "not root: what other users' tasks wait in is not shown")
	}
	if dir == "" {
		dir = registry.DefaultDir
	}
	if probe == nil {
		if m, err := ancestry.Open(); err == nil {
			defer m.Close()
			probe = m
		}
	}
	r := registry.Existing(dir)
	r.Foreign = p.Nested()
	defer r.Close()
	names := make(map[registry.Inode]string)
	bold := conf.Read(func(string) {}).Policy == conf.Bold
	whole := *sv
	p.Bounded(func(p *proc.FS) {
		try := whole
		eyes := &observer{proc: p, sys: sys, probe: probe, unpack: o.Unpack, names: names, dups: true, bold: bold}
		try.watch(func() *snapshot {
			entries, err := r.Read(p)
			if err != nil && err != unix.ENOENT && len(try.Faults) == 0 {
				try.Faults = append(try.Faults, "cannot read "+dir+": "+err.Error())
			}
			return eyes.look(entries, err == nil)
		}, surveyGap)
		if n := p.GivenUp(); n > 0 {
			try.Faults = append(try.Faults, "some tasks did not answer, as one in execve(2) whose files take for ever to close, and are taken to move")
		}
		*sv = try
	})
	sv.Dead = dead(p, sys)
	sv.Took = time.Since(began)
	return sv, nil
}

// watch looks, and looks again after a gap when there is something to confirm.
func (sv *Survey) watch(take func() *snapshot, gap time.Duration) {
	first := take()
	sv.Looked = len(first.tasks) + len(first.workers)
	was := first.sight(first.system(best, nil).Stuck(graph.Likely))
	if len(was.look) == 0 && !first.asks() {
		// Nobody is stuck, so there is nothing that must hold twice.
		sv.fill(first, nil, was)
		return
	}
	clock.Sleep(gap)
	sv.fill(take(), first, was)
}

// asks tells whether somebody waits for a helper. Whose helper is whose can be
// certain only after two looks.
func (s *snapshot) asks() bool {
	for _, t := range s.tasks {
		if t.requester() || t.duplicate() {
			return true
		}
	}
	return false
}

// sight is who is stuck in one look, each with its picture: what would
// change if it moved.
type sight struct {
	stuck *graph.Stuck
	look  map[graph.ID]string
}

func (s *snapshot) sight(st *graph.Stuck) *sight {
	all := &sight{st, make(map[graph.ID]string)}
	for tid := range s.tasks {
		if id := graph.ID(tid); st.Has(id) {
			all.look[id] = s.picture([]graph.ID{id})
		}
	}
	return all
}

// same tells whether what a task hangs on is what it hung on before, and none of
// it has moved since.
func (a *sight) same(before *sight, id graph.ID) bool {
	now, then := a.stuck.Reach(id), before.stuck.Reach(id)
	if len(now) == 0 || len(now) != len(then) {
		return false
	}
	for _, t := range now {
		if !slices.Contains(then, t) || a.look[t] == "" || a.look[t] != before.look[t] {
			return false
		}
	}
	return true
}

func (sv *Survey) fill(s, first *snapshot, was *sight) {
	sure := s.system(exact, first)
	maybe := s.system(best, first)
	proof, guess := sure.Stuck(graph.Certain), maybe.Stuck(graph.Likely)
	shown := s.system(paired, first).Stuck(graph.Likely)
	is := s.sight(guess)

	covered := make(map[graph.ID]bool)
	try := func(e graph.ID, st *graph.Stuck, certainty graph.Certainty, cycle []graph.Step) {
		if covered[e] || len(cycle) == 0 || len(st.Knot(e)) == 0 || !is.same(was, e) {
			return
		}
		if certainty == graph.Likely && !s.longAsleep(cycle) {
			return
		}
		f := Finding{Certainty: certainty}
		for _, step := range cycle {
			covered[step.Task] = true
			h := Hop{TID: int(step.Task), PID: int(step.Task), Why: step.Wait.Why, Certainty: step.Wait.Certainty}
			if t := s.tasks[h.TID]; t != nil {
				h.PID, h.Comm, h.Module = t.pid, t.Comm, t.module
			}
			if en := s.entries[h.TID]; en != nil {
				h.Module = en.Module
			}
			f.Chain = append(f.Chain, h)
		}
		s.cheapest(&f)
		sv.Findings = append(sv.Findings, f)
	}
	waits := s.loadWaits()
	for _, id := range waits {
		try(id, proof, graph.Certain, shown.Cycle(id))
	}
	for _, id := range waits {
		try(id, guess, graph.Likely, shown.Cycle(id))
	}
	// Who is on no circle as requests and helpers fit best, but is on one as
	// they may fit, hangs on a circle that has been found, if any of that is in
	// it: of fifty helpers that wait for one load, one is the load's own.
	for _, how := range []struct {
		*graph.Stuck
		certainty graph.Certainty
	}{{proof, graph.Certain}, {guess, graph.Likely}} {
		for _, id := range waits {
			cycle := guess.Cycle(id)
			if cycle == nil {
				cycle = how.Cycle(id)
			}
			if !slices.ContainsFunc(cycle, func(step graph.Step) bool { return covered[step.Task] }) {
				try(id, how.Stuck, how.certainty, cycle)
			}
		}
	}

	used := make(map[int]bool)
	for _, h := range s.helpers() {
		used[h.pid] = true
	}
	for pid := range s.entries {
		used[pid] = true
	}
	for tid, t := range s.tasks {
		if t.module != "" || asks(t.wchan) && t.State == 'D' || t.kind == proc.FinitModule || t.kind == proc.InitModule {
			used[tid] = true
		}
	}
	for _, f := range sv.Findings {
		for _, h := range f.Chain {
			used[h.TID] = true
		}
	}
	shell := s.commanded(maybe)
	for tid := range shell {
		used[tid] = true
	}
	tids := make([]int, 0, len(used))
	for tid := range used {
		tids = append(tids, tid)
	}
	sort.Ints(tids)
	for _, tid := range tids {
		if t := s.tasks[tid]; t != nil {
			v := s.seen(t)
			if v.Role == "" && shell[tid] {
				v.Role = RoleShell
			}
			sv.Tasks = append(sv.Tasks, v)
		}
		own := len(sv.Edges)
		for _, w := range maybe.Waits(graph.ID(tid)) {
			if s.ownThread(tid, w) && !used[int(w.For[0])] {
				continue // said by the process itself
			}
			e := Edge{From: tid, Certainty: w.Certainty, Why: w.Why}
			for _, to := range w.For {
				e.To = append(e.To, int(to))
			}
			sort.Ints(e.To)
			if h := s.pair[tid]; h != nil {
				if i := slices.Index(e.To, h.pid); i > 0 {
					e.To = slices.Insert(slices.Delete(e.To, i, i+1), 0, h.pid)
				}
			}
			same := slices.IndexFunc(sv.Edges[own:], func(o Edge) bool { return slices.Equal(o.To, e.To) })
			switch {
			case same < 0:
				sv.Edges = append(sv.Edges, e)
			case sv.Edges[own+same].Certainty < e.Certainty: // it says so itself, too
				sv.Edges[own+same] = e
			}
		}
	}
}

// shownMost bounds how many tasks of commands a survey shows: a command may be
// anything.
const shownMost = 64

// commanded are the processes that an install or remove command consists of, as
// far as somebody waits for them: the shell, and what it waits for.
func (s *snapshot) commanded(g *graph.System) map[int]bool {
	found := make(map[int]bool)
	var queue []int
	for pid, e := range s.entries {
		if e.State == registry.StateCommand {
			queue = append(queue, s.kids[pid]...)
		}
	}
	for len(queue) > 0 && len(found) < shownMost {
		pid := queue[0]
		queue = queue[1:]
		if t := s.tasks[pid]; t == nil || t.Kthread() || found[pid] {
			continue
		}
		found[pid] = true
		if s.entries[pid] != nil || s.tasks[pid].module != "" {
			continue // a load: shown for its own sake
		}
		for _, w := range g.Waits(graph.ID(pid)) {
			for _, to := range w.For {
				queue = append(queue, int(to))
			}
		}
	}
	return found
}

// ownThread tells whether a process that says itself what it does waits, by w,
// for one of its threads.
func (s *snapshot) ownThread(tid int, w graph.Wait) bool {
	if s.entries[tid] == nil || len(w.For) != 1 {
		return false
	}
	t := s.tasks[int(w.For[0])]
	return t != nil && t.pid == tid && !t.process()
}

// loadWaits are the tasks that wait for another's load, in the kernel or, ours,
// in user space; or for another's request.
func (s *snapshot) loadWaits() []graph.ID {
	var ids []int
	for tid, t := range s.tasks {
		if t.module != "" && t.waiter && t.Asleep() || t.duplicate() {
			ids = append(ids, tid)
		}
	}
	for pid, e := range s.entries {
		if e.State == registry.StateWait {
			ids = append(ids, pid)
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(ids))) // the latest first: it closed the circle
	out := make([]graph.ID, len(ids))
	for i, id := range ids {
		out[i] = graph.ID(id)
	}
	return out
}

// cheapest picks who of a circle had best fail: a wait for a load, of a helper
// rather than of what somebody started by hand, and the latest of these.
func (s *snapshot) cheapest(f *Finding) {
	bestScore := -1
	for _, h := range f.Chain {
		t := s.tasks[h.TID]
		e := s.entries[h.TID]
		if t == nil || !(t.module != "" && t.waiter) && (e == nil || e.State != registry.StateWait) && (!t.duplicate() || t.Kthread()) {
			continue
		}
		score := 1
		if s.workers[t.PPID] {
			score = 2
		}
		if t.duplicate() {
			score = 0 // its own init runs
		}
		if score < bestScore || score == bestScore && t.pid < f.Waiter {
			continue
		}
		bestScore = score
		f.Waiter, f.Module = t.pid, h.Module
		f.Signal = t.State != 'D' || e != nil || t.duplicate() // that one is killable
		f.Ours = e != nil && e.State == registry.StateWait
	}
}

func (s *snapshot) longAsleep(cycle []graph.Step) bool {
	for _, step := range cycle {
		t := s.tasks[int(step.Task)]
		if t == nil {
			return false
		}
		if e := s.entries[t.pid]; e != nil && !s.inCall(e, t) {
			continue // polls
		}
		if d := s.asleep(t); d < asleepLong {
			return false
		}
	}
	return true
}

// asleep is how long ago a task last ran, by the scheduler's clock; ours, just
// now, is the measure.
func (s *snapshot) asleep(t *task) time.Duration {
	me, ok := s.proc.Slept(unix.Getpid(), unix.Gettid())
	if !ok || !t.Asleep() {
		return 0
	}
	it, ok := s.lastRan(t.pid, t.TID)
	if !ok || it > me {
		return 0
	}
	return time.Duration(me - it)
}

// stood is for how long none of these tasks but us has run, as far back as we
// go: what asked for us has been waiting since before. 0 where the kernel does
// not tell (no CONFIG_SCHED_DEBUG).
func (s *snapshot) stood(ids []graph.ID, self registry.Identity) time.Duration {
	least := time.Duration(s.now - int64(self.Start)*clock.Tick)
	if self.Start == 0 || least < 0 {
		return 0
	}
	for _, id := range ids {
		t := s.tasks[int(id)]
		switch {
		case int(id) == self.PID:
		case t == nil || s.entries[int(id)] != nil && s.entries[int(id)].State == registry.StateWait:
			return 0 // polls: since when it stands still is not known
		default:
			least = min(least, s.asleep(t))
		}
	}
	return least
}

func (s *snapshot) seen(t *task) Seen {
	s.date(t)
	v := Seen{
		PID: t.pid, TID: t.TID, PPID: t.PPID, Start: t.pstart, Comm: t.Comm, Kernel: t.Kthread(),
		State: t.State, Wchan: t.wchan, Module: t.module, File: t.file.Path,
		Running: max(0, time.Duration(s.now-int64(t.pstart)*clock.Tick)), Asleep: s.asleep(t),
	}
	if v.Wchan == "" && t.Asleep() {
		v.Wchan = s.proc.Wchan(t.pid, t.TID)
	}
	// Its arguments stand in its memory, which a user may have mapped from a file
	// system of his own that never answers.
	if !t.Kthread() && s.proc.MayLoad(t.pid, t.TID) {
		v.Command = string(bytes.TrimRight(bytes.ReplaceAll(bytes.Clone(s.proc.Cmdline(t.pid)), []byte{0}, []byte{' '}), " "))
	}
	switch t.kind {
	case proc.FinitModule:
		v.Call = "finit_module"
	case proc.InitModule:
		v.Call = "init_module"
	}
	if v.Call != "" {
		v.Params, _ = s.proc.Params(t.pid, &t.call)
	}
	helper := s.workers[t.PPID]
	// An entry is the process's: its first thread stands for it.
	var e *registry.Entry
	if t.process() {
		e = s.entries[t.pid]
	}
	if e != nil {
		v.Token, v.Parent, v.Depth, v.Request = e.Token, e.Parent, e.Depth, e.Request
		v.Since = max(0, time.Duration(s.now-e.Since))
		if v.Module == "" {
			v.Module, v.File = e.Module, e.Path
		}
	} else if helper && t.process() {
		if i := bytes.LastIndexByte([]byte(v.Command), ' '); i >= 0 {
			v.Request = v.Command[i+1:]
		}
	}
	switch {
	case t.throttled():
		v.Role = RoleThrottled
	case t.duplicate() && t.module == "":
		v.Role = RoleDuplicate
	case t.module != "" && t.waiter && !s.coming[t.module]:
		v.Role = RoleSymbol
	case t.module != "" && t.waiter, e != nil && e.State == registry.StateWait:
		v.Role = RoleWait
	case t.module != "" || e != nil && e.State == registry.StateLoad:
		v.Role = RoleLoad
	case t.requester():
		v.Role = RoleRequest
	case e != nil:
		v.Role = e.State
	case helper && t.process():
		v.Role = RoleHelper
	}
	if v.Module != "" {
		v.Initstate = proc.State(v.Module).String()
	}
	v.Duplicate = t.duplicate()
	if t.module != "" || t.requester() || v.Duplicate {
		v.Stack = s.proc.Stack(t.pid, t.TID)
	}
	return v
}
