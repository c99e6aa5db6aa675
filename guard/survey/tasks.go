// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"safeload/guard/graph"
	"safeload/internal/clock"
	"safeload/internal/observe"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// show lists who has a part in loading, and the waits of each.
func (sv *Survey) show(s *observe.Waits, maybe *graph.System) {
	shell := commandTasks(s, maybe)
	used := sv.parts(s, shell)
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
		sv.Edges = append(sv.Edges, edges(s, tid, maybe, used)...)
	}
}

// edges are the waits of a task.
func edges(s *observe.Waits, tid int, maybe *graph.System, used map[int]bool) []Edge {
	var all []Edge
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
		same := slices.IndexFunc(all, func(o Edge) bool { return slices.Equal(o.To, e.To) })
		switch {
		case same < 0:
			all = append(all, e)
		case all[same].Certainty < e.Certainty: // it says so itself, too
			all[same] = e
		}
	}
	return all
}

// parts are the tasks that have a part in loading.
func (sv *Survey) parts(s *observe.Waits, shell map[int]bool) map[int]bool {
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
	for tid := range shell {
		used[tid] = true
	}
	return used
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

func seenOf(s *observe.Waits, t *observe.Task) Seen {
	s.ReadStart(t)
	v := Seen{
		PID: t.PID, TID: t.TID, PPID: t.PPID, Start: t.ProcessStart, Comm: t.Comm, Kernel: t.Kthread(),
		State: t.State, Wchan: t.Wchan, Module: t.Module, File: t.File.Path,
		Running: max(0, time.Duration(s.Now-int64(t.ProcessStart)*clock.Tick)),
	}
	v.Asleep, _ = s.Asleep(t)
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
	v.Role = role(s, t, e, helper && t.Process())
	if v.Module != "" {
		v.Initstate = s.StateOf(v.Module).String()
	}
	v.Duplicate = t.Duplicate()
	if t.Module != "" || t.Requester() || v.Duplicate {
		v.Stack = s.Proc.Stack(t.PID, t.TID)
	}
	return v
}

// role is what a task does, as far as loading goes. e is what it says itself, if
// it is a safeload; helper tells that the kernel has started it.
func role(s *observe.Waits, t *observe.Task, e *registry.Entry, helper bool) string {
	switch {
	case t.Throttled():
		return RoleThrottled
	case t.Duplicate() && t.Module == "":
		return RoleDuplicate
	case t.Module != "" && t.Waiter && !s.Coming[t.Module]:
		return RoleSymbol
	case t.Module != "" && t.Waiter, e != nil && e.State == registry.StateWait:
		return RoleWait
	case t.Module != "" || e != nil && e.State == registry.StateLoad:
		return RoleLoad
	case t.Requester():
		return RoleRequest
	case e != nil:
		return e.State
	case helper:
		return RoleHelper
	}
	return ""
}

// shownMost bounds how many tasks of commands a survey shows: a command may be
// anything.
const shownMost = 64
