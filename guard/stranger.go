// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"slices"

	"safeload/guard/registry"
	"safeload/internal/clock"
	"safeload/internal/proc"
)

// strangers tells whether everybody who can have asked the kernel for the
// helper that we are, or are below, is a program that nobody who loads can be
// waiting for: none that loads itself, none that the kernel or a command of ours
// has started. Then no load waits for us, and the kernel's own wait is right. It
// ends when the load does, with its result, and costs nothing while it lasts.
//
// What cannot be seen may be such a one.
func (s *snapshot) strangers(self registry.Identity) bool {
	if self.Parent != "" || s.proc == nil || s.proc.Nested() {
		return false
	}
	h := s.helperOver(self.PID)
	if h == nil {
		return false
	}
	helpers := s.helpers()
	return s.askers(helpers, func(r *task) bool {
		if tid, known := s.asked[h.pid]; known {
			return tid == r.TID
		}
		return slices.Contains(s.candidates(r, helpers), h)
	})
}

// allStrangers tells that of every helper that there is.
func (s *snapshot) allStrangers() bool {
	return s.proc != nil && !s.proc.Nested() && s.askers(s.helpers(), func(*task) bool { return true })
}

// askers tells whether those who wait for a helper and may be meant are all
// apart from any load, and all to be seen: each helper has one who asked for it.
// Of one that has come since the look began, he may have been read before he
// asked; nobody takes this look's word for that one.
func (s *snapshot) askers(helpers []*task, meant func(r *task) bool) bool {
	if s.unsure {
		return false
	}
	all, found := 0, false
	for _, r := range s.tasks {
		if r.State == 'D' && (r.wchan == "" || r.wchan == "0") {
			return false // may be asking
		}
		if !r.requester() {
			continue
		}
		all++
		if meant(r) {
			if !s.foreign(r) {
				return false
			}
			found = true
		}
	}
	there := 0
	for _, h := range helpers {
		if int64(h.Start+1)*clock.Tick <= s.now {
			there++
		}
	}
	return found && all >= there
}

// helperOver is the helper of the kernel that a process is, or is below, if
// nobody in between loads.
func (s *snapshot) helperOver(pid int) *task {
	for range 256 {
		t := s.tasks[pid]
		if t == nil || t.Kthread() || t.module != "" {
			return nil
		}
		if s.workers[t.PPID] {
			return t
		}
		pid = t.PPID
	}
	return nil
}

// foreign tells whether a requester is a program that has nothing to do with a
// load: neither it, nor a thread of it, nor anybody above it, to the first
// process of the system.
func (s *snapshot) foreign(r *task) bool {
	pid := r.pid
	for range 256 {
		t := s.tasks[pid]
		if t == nil || t.Held || t.Kthread() || s.entries[pid] != nil || s.loads(pid) {
			return false
		}
		if t.PPID == 0 {
			return t.TID == 1
		}
		pid = t.PPID
	}
	return false
}

// loads tells whether a thread of a process is in a module's load.
func (s *snapshot) loads(pid int) bool {
	if s.loaders == nil {
		s.loaders = make(map[int]bool)
		for _, t := range s.tasks {
			if t.module != "" || t.kind == proc.FinitModule || t.kind == proc.InitModule {
				s.loaders[t.pid] = true
			}
		}
	}
	return s.loaders[pid]
}
