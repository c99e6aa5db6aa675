// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"slices"

	"safeload/internal/clock"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// AskedByStrangers tells whether everybody who can have asked the kernel for the
// helper that we are, or are below, is a program that nobody who loads can be
// waiting for: none that loads itself, none that the kernel or a command of ours
// has started. Then no load waits for us, and the kernel's own wait is right. It
// ends when the load does, with its result, and costs nothing while it lasts.
//
// What cannot be seen may be such a one.
func (s *Waits) AskedByStrangers(self registry.Identity) bool {
	if self.Parent != "" || s.Proc == nil || s.Proc.Nested() {
		return false
	}
	h := s.helperOver(self.PID)
	if h == nil {
		return false
	}
	helpers := s.Helpers()
	return s.askersApart(helpers, func(r *Task) bool {
		if tid, known := s.RequesterOf[h.PID]; known {
			return tid == r.TID
		}
		return slices.Contains(s.candidates(r, helpers), h)
	})
}

// AllAskedByStrangers tells that of every helper that there is.
func (s *Waits) AllAskedByStrangers() bool {
	return s.Proc != nil && !s.Proc.Nested() && s.askersApart(s.Helpers(), func(*Task) bool { return true })
}

// askersApart reports whether all requesters that may be meant are strangers, and
// all requesters are in sight: there is one for each helper. A helper that has
// come since the look began may belong to a requester that was read before its
// request. So this look clears no such helper.
func (s *Waits) askersApart(helpers []*Task, meant func(r *Task) bool) bool {
	if s.incomplete {
		return false
	}
	all, found := 0, false
	for _, r := range s.Tasks {
		if r.State == 'D' && (r.Wchan == "" || r.Wchan == "0") {
			return false // may be asking
		}
		if !r.Requester() {
			continue
		}
		all++
		if meant(r) {
			if !s.isStranger(r) {
				return false
			}
			found = true
		}
	}
	there := 0
	for _, h := range helpers {
		if int64(h.Start+1)*clock.Tick <= s.Now {
			there++
		}
	}
	return found && all >= there
}

// helperOver is the helper of the kernel that a process is, or is below, if
// nobody in between loads.
func (s *Waits) helperOver(pid int) *Task {
	for range 256 {
		t := s.Tasks[pid]
		if t == nil || t.Kthread() || t.Module != "" {
			return nil
		}
		if s.Workers[t.PPID] {
			return t
		}
		pid = t.PPID
	}
	return nil
}

// isStranger tells whether a requester is a program that has nothing to do with a
// load: neither it, nor a thread of it, nor anybody above it, to the first
// process of the system.
func (s *Waits) isStranger(r *Task) bool {
	pid := r.PID
	for range 256 {
		t := s.Tasks[pid]
		if t == nil || t.Held || t.Kthread() || s.Entries[pid] != nil || s.processLoads(pid) {
			return false
		}
		if t.PPID == 0 {
			return t.TID == 1
		}
		pid = t.PPID
	}
	return false
}

// processLoads tells whether a thread of a process is in a module's load.
func (s *Waits) processLoads(pid int) bool {
	if s.loaders == nil {
		s.loaders = make(map[int]bool)
		for _, t := range s.Tasks {
			if t.Module != "" || t.Kind == proc.FinitModule || t.Kind == proc.InitModule {
				s.loaders[t.PID] = true
			}
		}
	}
	return s.loaders[pid]
}
