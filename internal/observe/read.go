// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"safeload/internal/proc"
	"safeload/internal/registry"
)

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

// readThreadState reads what a thread does in the kernel. If the thread cannot load
// modules, do not read what its user can hold for ever (see [proc.FS.Bounded]):
// read only its wchan, and only in state D, in which a requester sleeps.
//
// The wchan costs least to read and is enough for most threads, so it comes first.
func (s *Snapshot) readThreadState(p *process, t *Task, o *proc.Outline, tid int) {
	n := s.Proc.GivenUp()
	s.readCall(p, t, o, tid)
	if s.Proc.GivenUp() != n {
		// What it does is not known. Nobody else may count as stuck because of
		// it.
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
