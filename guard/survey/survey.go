// SPDX-License-Identifier: Apache-2.0

// Package survey looks at a whole system from outside: who loads, who waits for
// whom, who can never move, and what would free it.
package survey

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"safeload/finit"
	"safeload/guard/ancestry"
	"safeload/guard/graph"
	"safeload/guard/observe"
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
	Tasks    []Seen          // those that load, request, help or wait, by thread id
	Edges    []Edge          // who of them waits for whom
	Findings []graph.Finding // who waits for itself
	Faults   []string        // what could not be seen
	Dead     []string        // modules that stay coming: nobody runs their init any more
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

// surveyGap is the time between the looks: what rests on sleeping tasks must
// hold in both.
const surveyGap = 150 * time.Millisecond

// asleepLong is how long those of a circle that is only likely must have
// slept. It is the guard's patience: before, slow and stuck look the same.
const asleepLong = conf.DefaultPatience

// Options are what a survey must know of its program.
type Options struct {
	Dir    string           // of the registry; empty: /run/safeload
	Probe  observe.Ancestry // nil: the one that runs, if any
	Unpack finit.Unpacker   // of compressed files, for the names in them
}

// Examine makes a survey. The registry is read, never made.
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
		eyes := &observe.Observer{Proc: p, Sys: sys, Probe: probe, Unpack: o.Unpack, Names: names, ShowRepeats: true, Bold: bold}
		try.watch(func() *observe.Waits {
			entries, err := r.Read(p)
			if err != nil && err != unix.ENOENT && len(try.Faults) == 0 {
				try.Faults = append(try.Faults, "cannot read "+dir+": "+err.Error())
			}
			return eyes.Look(entries, err == nil)
		}, surveyGap)
		if n := p.GivenUp(); n > 0 {
			try.Faults = append(try.Faults, "some tasks did not answer, as one in execve(2) whose files take for ever to close, and are taken to move")
		}
		*sv = try
	})
	sv.Dead = deadModules(p, sys)
	sv.Took = time.Since(began)
	return sv, nil
}

// watch looks, and looks again after a gap when there is something to confirm.
func (sv *Survey) watch(take func() *observe.Waits, gap time.Duration) {
	first := take()
	sv.Looked = len(first.Tasks) + len(first.Workers)
	was := sightOf(first, first.System(observe.Best, nil).Stuck(graph.Likely))
	if len(was.look) == 0 && !first.HasRequesters() {
		// Nobody is stuck, so there is nothing that must hold twice.
		sv.fill(first, nil, was)
		return
	}
	clock.Sleep(gap)
	sv.fill(take(), first, was)
}

// sight is who is stuck in one look, each with its picture: what would
// change if it moved.
type sight struct {
	stuck *graph.Stuck
	look  map[graph.ID]string
}

func sightOf(s *observe.Waits, st *graph.Stuck) *sight {
	all := &sight{st, make(map[graph.ID]string)}
	for tid := range s.Tasks {
		if id := graph.ID(tid); st.Has(id) {
			all.look[id] = s.Picture([]graph.ID{id})
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

func (sv *Survey) fill(s, first *observe.Waits, was *sight) {
	sure := s.System(observe.Exact, first)
	maybe := s.System(observe.Best, first)
	proof, guess := sure.Stuck(graph.Certain), maybe.Stuck(graph.Likely)
	shown := s.System(observe.Paired, first).Stuck(graph.Likely)
	is := sightOf(s, guess)

	covered := make(map[graph.ID]bool)
	try := func(e graph.ID, st *graph.Stuck, certainty graph.Certainty, cycle []graph.Step) {
		if covered[e] || len(cycle) == 0 || len(st.Knot(e)) == 0 || !is.same(was, e) {
			return
		}
		if certainty == graph.Likely && !asleepForLong(s, cycle) {
			return
		}
		f := graph.Finding{Certainty: certainty}
		for _, step := range cycle {
			covered[step.Task] = true
		}
		f.Chain = s.Chain(cycle)
		chooseWaiter(s, &f)
		sv.Findings = append(sv.Findings, f)
	}
	waits := loadWaiters(s)
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
	for _, h := range s.Helpers() {
		used[h.PID] = true
	}
	for pid := range s.Entries {
		used[pid] = true
	}
	for tid, t := range s.Tasks {
		if t.Module != "" || observe.IsRequesting(t.Wchan) && t.State == 'D' || t.Kind == proc.FinitModule || t.Kind == proc.InitModule {
			used[tid] = true
		}
	}
	for _, f := range sv.Findings {
		for _, h := range f.Chain {
			used[h.TID] = true
		}
	}
	shell := commandTasks(s, maybe)
	for tid := range shell {
		used[tid] = true
	}
	tids := make([]int, 0, len(used))
	for tid := range used {
		tids = append(tids, tid)
	}
	sort.Ints(tids)
	for _, tid := range tids {
		if t := s.Tasks[tid]; t != nil {
			v := seenOf(s, t)
			if v.Role == "" && shell[tid] {
				v.Role = RoleShell
			}
			sv.Tasks = append(sv.Tasks, v)
		}
		own := len(sv.Edges)
		for _, w := range maybe.Waits(graph.ID(tid)) {
			if isOwnThread(s, tid, w) && !used[int(w.For[0])] {
				continue // said by the process itself
			}
			e := Edge{From: tid, Certainty: w.Certainty, Why: w.Why}
			for _, to := range w.For {
				e.To = append(e.To, int(to))
			}
			sort.Ints(e.To)
			if h := s.LikeliestHelper[tid]; h != nil {
				if i := slices.Index(e.To, h.PID); i > 0 {
					e.To = slices.Insert(slices.Delete(e.To, i, i+1), 0, h.PID)
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

// commandTasks are the processes that an install or remove command consists of, as
// far as somebody waits for them: the shell, and what it waits for.
func commandTasks(s *observe.Waits, g *graph.System) map[int]bool {
	found := make(map[int]bool)
	var queue []int
	for pid, e := range s.Entries {
		if e.State == registry.StateCommand {
			queue = append(queue, s.Children[pid]...)
		}
	}
	for len(queue) > 0 && len(found) < shownMost {
		pid := queue[0]
		queue = queue[1:]
		if t := s.Tasks[pid]; t == nil || t.Kthread() || found[pid] {
			continue
		}
		found[pid] = true
		if s.Entries[pid] != nil || s.Tasks[pid].Module != "" {
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

// isOwnThread tells whether a process that says itself what it does waits, by w,
// for one of its threads.
func isOwnThread(s *observe.Waits, tid int, w graph.Wait) bool {
	if s.Entries[tid] == nil || len(w.For) != 1 {
		return false
	}
	t := s.Tasks[int(w.For[0])]
	return t != nil && t.PID == tid && !t.Process()
}

// loadWaiters are the tasks that wait for another's load, in the kernel or, ours,
// in user space; or for another's request.
func loadWaiters(s *observe.Waits) []graph.ID {
	var ids []int
	for tid, t := range s.Tasks {
		if t.Module != "" && t.Waiter && t.Asleep() || t.Duplicate() {
			ids = append(ids, tid)
		}
	}
	for pid, e := range s.Entries {
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

// chooseWaiter picks who of a circle had best fail: a wait for a load, of a helper
// rather than of what somebody started by hand, and the latest of these.
func chooseWaiter(s *observe.Waits, f *graph.Finding) {
	bestScore := -1
	for _, h := range f.Chain {
		t := s.Tasks[h.TID]
		e := s.Entries[h.TID]
		if t == nil || !(t.Module != "" && t.Waiter) && (e == nil || e.State != registry.StateWait) && (!t.Duplicate() || t.Kthread()) {
			continue
		}
		score := 1
		if s.Workers[t.PPID] {
			score = 2
		}
		if t.Duplicate() {
			score = 0 // its own init runs
		}
		if score < bestScore || score == bestScore && t.PID < f.Waiter {
			continue
		}
		bestScore = score
		f.Waiter, f.Module = t.PID, h.Module
		f.Signal = t.State != 'D' || e != nil || t.Duplicate() // that one is killable
		f.Ours = e != nil && e.State == registry.StateWait
	}
}

func asleepForLong(s *observe.Waits, cycle []graph.Step) bool {
	for _, step := range cycle {
		t := s.Tasks[int(step.Task)]
		if t == nil {
			return false
		}
		if e := s.Entries[t.PID]; e != nil && !s.InCall(e, t) {
			continue // polls
		}
		if d := s.Asleep(t); d < asleepLong {
			return false
		}
	}
	return true
}

func seenOf(s *observe.Waits, t *observe.Task) Seen {
	s.ReadStart(t)
	v := Seen{
		PID: t.PID, TID: t.TID, PPID: t.PPID, Start: t.ProcessStart, Comm: t.Comm, Kernel: t.Kthread(),
		State: t.State, Wchan: t.Wchan, Module: t.Module, File: t.File.Path,
		Running: max(0, time.Duration(s.Now-int64(t.ProcessStart)*clock.Tick)), Asleep: s.Asleep(t),
	}
	if v.Wchan == "" && t.Asleep() {
		v.Wchan = s.Proc.Wchan(t.PID, t.TID)
	}
	// Its arguments stand in its memory, which a user may have mapped from a file
	// system of his own that never answers.
	if !t.Kthread() && s.Proc.MayLoad(t.PID, t.TID) {
		v.Command = string(bytes.TrimRight(bytes.ReplaceAll(bytes.Clone(s.Proc.Cmdline(t.PID)), []byte{0}, []byte{' '}), " "))
	}
	switch t.Kind {
	case proc.FinitModule:
		v.Call = "finit_module"
	case proc.InitModule:
		v.Call = "init_module"
	}
	if v.Call != "" {
		v.Params, _ = s.Proc.Params(t.PID, &t.Call)
	}
	helper := s.Workers[t.PPID]
	// An entry is the process's: its first thread stands for it.
	var e *registry.Entry
	if t.Process() {
		e = s.Entries[t.PID]
	}
	if e != nil {
		v.Token, v.Parent, v.Depth, v.Request = e.Token, e.Parent, e.Depth, e.Request
		v.Since = max(0, time.Duration(s.Now-e.Since))
		if v.Module == "" {
			v.Module, v.File = e.Module, e.Path
		}
	} else if helper && t.Process() {
		if i := bytes.LastIndexByte([]byte(v.Command), ' '); i >= 0 {
			v.Request = v.Command[i+1:]
		}
	}
	switch {
	case t.Throttled():
		v.Role = RoleThrottled
	case t.Duplicate() && t.Module == "":
		v.Role = RoleDuplicate
	case t.Module != "" && t.Waiter && !s.Coming[t.Module]:
		v.Role = RoleSymbol
	case t.Module != "" && t.Waiter, e != nil && e.State == registry.StateWait:
		v.Role = RoleWait
	case t.Module != "" || e != nil && e.State == registry.StateLoad:
		v.Role = RoleLoad
	case t.Requester():
		v.Role = RoleRequest
	case e != nil:
		v.Role = e.State
	case helper && t.Process():
		v.Role = RoleHelper
	}
	if v.Module != "" {
		v.Initstate = proc.State(v.Module).String()
	}
	v.Duplicate = t.Duplicate()
	if t.Module != "" || t.Requester() || v.Duplicate {
		v.Stack = s.Proc.Stack(t.PID, t.TID)
	}
	return v
}
