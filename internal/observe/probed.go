// SPDX-License-Identifier: Apache-2.0

package observe

// Ancestry is what a probe knows of the hops that /proc does not show. A task
// is named by its thread id; implementations must answer only for tasks that
// are alive and the same ones.
type Ancestry interface {
	// Requester returns the thread that waits in request_module for the
	// helper process pid.
	Requester(pid int) (tid int, ok bool)
	// StartedBy returns the thread whose module init has a kernel thread or
	// workqueue worker act for it.
	StartedBy(tid int) (owner int, ok bool)
}

// clearer is an Ancestry that knows of everything that was started since it
// runs, and so of some that it was not for an init.
type clearer interface {
	// NotStartedBy tells whether what the kernel thread or worker tid does,
	// which Requester returned, was not started by the init that owner runs.
	NotStartedBy(tid, owner int) bool
}

// askProbe takes from the probe who asked for each helper, and for whose init.
func (s *Snapshot) askProbe(probe Ancestry) {
	s.probed = true
	s.RequesterOf, s.startedBy = make(map[int]int), make(map[int]int)
	s.cleared = make(map[[2]int]bool)
	clears, _ := probe.(clearer)
	for _, h := range s.Helpers() {
		tid, ok := probe.Requester(h.PID)
		if !ok {
			continue
		}
		if t := s.Tasks[tid]; t == nil || !t.Requester() || t.Start > h.Start {
			continue // of another moment
		}
		s.RequesterOf[h.PID] = tid
		if owner, ok := probe.StartedBy(tid); ok {
			s.startedBy[tid] = owner
		} else if clears != nil {
			for _, o := range s.Tasks {
				if o.Module != "" && !o.Waiter && s.Coming[o.Module] && clears.NotStartedBy(tid, o.TID) {
					s.cleared[[2]int{tid, o.TID}] = true
				}
			}
		}
	}
}

// AskersCleared tells whether everybody is known who asked for the helper that a
// process is below, or for one above that, and the first of them, if it is a kernel
// thread, does nothing for an init.
func (s *Waits) AskersCleared(pid int) bool {
	for range 64 {
		h := s.helperAbove(pid)
		if h == nil {
			return true
		}
		t := s.Tasks[s.RequesterOf[h.PID]]
		if t == nil || t.Kthread() {
			return t != nil && s.NotForInit(t)
		}
		pid = t.PID
	}
	return false
}

// NotForInit tells whether the probe saw that no init which runs has started what
// a kernel thread does.
func (s *Waits) NotForInit(t *Task) bool {
	some := false
	for _, o := range s.Tasks {
		if o.Module == "" || o.Waiter || !s.Coming[o.Module] {
			continue
		}
		if some = s.cleared[[2]int{t.TID, o.TID}]; !some {
			return false
		}
	}
	return some
}
