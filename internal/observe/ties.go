// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"slices"
	"strings"
	"time"

	"safeload/guard/graph"
	"safeload/internal/clock"
	"safeload/internal/proc"
)

// What an init that sleeps waits for is written nowhere. A kernel thread or a
// work item that asks for its module may be what it waits for, or a stranger's.
// Only what the evidence ties to the init counts; docs/refusals.md lists it.

const (
	// clockSlack is how far two times may be apart that are the same: a start
	// in /proc is of a tick, and the clocks of the two differ.
	clockSlack = 15 * time.Millisecond
	// managerLead is how long an init may run on after the crypto core has
	// started what it then sleeps for: the self-tests of other algorithms that
	// it registers come before.
	managerLead = 2 * time.Second
)

// initWaits: a module's init that sleeps, and neither asks nor loads, waits for
// something that nobody can name. That it is for a kernel thread it has
// started, or a work item, is likely where the probe saw that, or something
// else ties the two.
func (s *Waits) initWaits(g *graph.System, o *Task) {
	if !o.Asleep() || !s.Coming[o.Module] || IsTimed(o.Wchan) {
		return
	}
	var known []graph.ID // by the probe
	for _, t := range s.Tasks {
		if owner, ok := s.startedBy[t.TID]; ok && owner == o.TID && t.Kthread() && t.Requester() {
			known = append(known, graph.ID(t.TID))
		}
	}
	if len(known) > 0 {
		s.ByProbe[o.TID] = true
		g.Add(graph.ID(o.TID), graph.Wait{For: known, Certainty: graph.Likely, Why: whyInit})
		return
	}
	// What it waits for may itself wait for what it started.
	why := whyInit
	seen := map[int]bool{o.TID: true}
	for queue := []*Task{o}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		if p.Requester() || p != o && len(g.Waits(graph.ID(p.TID))) > 0 {
			continue
		}
		var next []*Task
		if isFlush(p.Wchan) {
			next = s.flushedWorkers(g, p, o)
			askersFirst(next)
		} else {
			next = s.startedThreads(p, o)
		}
		w := graph.Wait{Certainty: graph.Likely, Why: why}
		for _, t := range next {
			w.For = append(w.For, graph.ID(t.TID))
			if !seen[t.TID] && t.Kthread() && t.State == 'D' {
				seen[t.TID] = true
				queue = append(queue, t)
			}
		}
		g.Add(graph.ID(p.TID), w)
		why = "waits for what it has a kernel thread do"
	}
}

// askersFirst puts those who ask before the others, so that a circle is shown by way of
// them, each time the same.
func askersFirst(all []*Task) {
	slices.SortFunc(all, func(a, b *Task) int {
		if a.Requester() != b.Requester() {
			if a.Requester() {
				return -1
			}
			return 1
		}
		return a.TID - b.TID
	})
}

const whyInit = "its init waits for what it has a kernel thread do"

// independent tells whether the probe saw that an init has not started what a
// kernel thread that asks does. That holds for good.
func (s *Waits) independent(t, o *Task) bool {
	if owner, ok := s.startedBy[t.TID]; ok {
		return owner != o.TID
	}
	return s.cleared[[2]int{t.TID, o.TID}]
}

// startedThreads are the kernel threads that p, an init or a thread of one, seems to
// have started and may be asleep for. Order in time is evidence: what somebody
// who sleeps has started began before he fell asleep. It is not enough, for
// others start threads at any time. So a thread must also bear the name of the
// module or run its code, or be one of the crypto manager's, which are started
// for one who then sleeps.
func (s *Waits) startedThreads(p, o *Task) []*Task {
	fell, timed := s.fellAsleep(p)
	since := p.Start
	if p == o {
		since = p.ProcessStart
	}
	var all []*Task
	for _, k := range s.Tasks {
		if !k.Kthread() || k.Worker() || k.TID == p.TID || k.State != 'D' || k.Start < since || s.independent(k, o) {
			continue
		}
		if timed && s.bootOf(k.Start) > fell+s.slack(fell) {
			continue
		}
		switch {
		case s.bearsName(k, o.Module):
		case isManager(k) && s.managerWorksFor(k, p, o):
		case s.bold && p == o && !s.startedByAnother(k, o):
		default:
			continue
		}
		all = append(all, k)
	}
	return all
}

// isManager: the threads of crypto/algboss.c. cryptomgr_probe makes an
// instance of a template for one who waits for it, cryptomgr_test tests an
// algorithm for those who wait for that.
func isManager(t *Task) bool {
	return t.Kthread() && (t.Comm == "cryptomgr_probe" || t.Comm == "cryptomgr_test")
}

// managerWorksFor tells whether k, a thread of the crypto manager, was started for p, who sleeps in the crypto API: o, the
// thread that runs an init, or a kernel thread that this waits for. Users have the manager start threads, too
// (AF_ALG): of all who could have been waiting since it began, there must be none but p.
func (s *Waits) managerWorksFor(k, p, o *Task) bool {
	if w := s.where(p.PID, p.TID, p.Wchan); w != "" && !awaitsManager(w) {
		return false
	}
	fell, timed := s.fellAsleep(p)
	began := s.bootOf(k.Start)
	if p == o {
		if timed && fell-began > int64(managerLead) {
			return false
		}
		for _, t := range s.Tasks {
			if timed && t != k && isManager(t) && !t.Requester() && t.State == 'D' && t.Start <= k.Start && t.Start >= o.ProcessStart && s.fellAsleepAt(t, began) {
				return false // it is for that one
			}
		}
	} else if timed && !s.fellAsleepAt(p, began) {
		return false
	}
	return !s.othersAsleep(k, p, o)
}

// where is the function that a thread sleeps in: wchan, if that was read before. Empty: the kernel does not tell.
func (s *Waits) where(pid, tid int, wchan string) string {
	if wchan == "" {
		wchan = s.Proc.Wchan(pid, tid)
	}
	if hidesCaller(wchan) {
		return ""
	}
	return wchan
}

// mayAwaitManager tells whether a thread that was in state D may be asleep for one of the crypto manager's. Where the kernel does
// not tell in what it sleeps, it may, unless it has gone on meanwhile.
func (s *Waits) mayAwaitManager(pid, tid int, wchan string) bool {
	w := s.where(pid, tid, wchan)
	return awaitsManager(w) || w == "" && !s.goesOn(pid, tid)
}

// goesOn tells whether a thread that was in state D has left it, and is not ending.
func (s *Waits) goesOn(pid, tid int) bool {
	switch s.Proc.ThreadState(pid, tid) {
	case 'R', 'S', 'I':
		return true
	}
	return false
}

// fellAsleepAt tells whether a task fell asleep at, or just after, a moment.
func (s *Waits) fellAsleepAt(t *Task, at int64) bool {
	fell, ok := s.fellAsleep(t)
	return ok && fell >= at-s.slack(at) && fell <= at+near
}

// rivals are who may have a kernel thread of the crypto manager work for them, instead of an init.
type rivals struct {
	seen     bool // a user was, who may have been killed since, while the thread goes on
	searched bool // the threads of programs were, and there was none
}

// othersAsleep tells whether anybody else may have slept, in state D, for a
// kernel thread since that began. Where the kernel does not say since when
// somebody sleeps, all who do count.
func (s *Waits) othersAsleep(k, p, o *Task) bool {
	if s.incomplete {
		return true
	}
	key := [3]uint64{uint64(k.TID), k.Start, uint64(o.TID)}
	had := s.memory.rivals[key]
	if had.seen {
		return true
	}
	began := s.bootOf(k.Start)
	suspect := func(t *Task) bool {
		if t.TID == p.TID || t.TID == o.TID || t.State != 'D' || t.Requester() || isManager(t) && t.Start > k.Start ||
			!s.mayAwaitManager(t.PID, t.TID, t.Wchan) {
			return false
		}
		if _, ok := s.fellAsleep(t); !ok {
			return true
		}
		return s.fellAsleepAt(t, began)
	}
	found := false
	for _, t := range s.Tasks {
		if t.TID == k.TID || isManager(t) && s.forInit(t, o) {
			continue
		}
		switch {
		case suspect(t):
			found = true
			had.seen = had.seen || !t.Kthread() // nobody can kill a kernel thread: one that no longer sleeps never slept for k
		case t.Process() && !t.Kthread() && t.Threads > 1 && !had.searched && !had.seen:
			had.seen = s.threadAsleep(t, began)
		}
	}
	had.searched = true
	s.memory.rivals[key] = had
	return found || had.seen
}

// threadAsleep tells whether a thread of a program may be asleep for one of the crypto manager's that began then. Those
// that are tasks of this look are not asked.
func (s *Waits) threadAsleep(t *Task, began int64) (found bool) {
	_ = s.Proc.Threads(t.PID, func(tid int) bool {
		if tid == t.PID || s.Tasks[tid] != nil {
			return true
		}
		at, ok := s.Proc.Slept(t.PID, tid)
		found = (!ok || s.within(at, began)) && s.Proc.ThreadState(t.PID, tid) == 'D' && s.mayAwaitManager(t.PID, tid, "")
		return !found
	})
	return found
}

// forInit tells whether a thread of the crypto manager that waits is one that
// an init may be waiting for, by the order of their times.
func (s *Waits) forInit(t, o *Task) bool {
	fell, timed := s.fellAsleep(o)
	return t.Start >= o.ProcessStart && (!timed || s.bootOf(t.Start) <= fell+s.slack(fell))
}

// bearsName tells whether a kernel thread bears the name of a module, or a worker
// that of its queue, or either runs its code, where the kernel shows that.
func (s *Waits) bearsName(t *Task, module string) bool {
	key := bearing{t.TID, module}
	yes, had := s.bearings[key]
	if !had {
		name := t.Comm
		if t.Worker() {
			_, name, _ = strings.Cut(name, "+")
		}
		yes = s.nameBelongsTo(name, module) || strings.Contains(s.Proc.Stack(t.PID, t.TID), "["+module+"]")
		if s.bearings == nil {
			s.bearings = make(map[bearing]bool)
		}
		s.bearings[key] = yes
	}
	return yes
}

// nameLeast is how long a module's name must be for others that begin with it
// to tell anything.
const nameLeast = 3

// nameBelongsTo tells whether a name begins with a module's, and is not one of another
// module that is there.
func (s *Waits) nameBelongsTo(name, module string) bool {
	const cut = 15 // TASK_COMM_LEN, before 5.17
	if len(name) == cut && len(module) > cut {
		module = module[:cut]
	}
	if len(name) < len(module) || len(module) < nameLeast && len(name) > len(module) {
		return false
	}
	for i := range len(module) {
		if plainByte(name[i]) != plainByte(module[i]) {
			return false
		}
	}
	if len(name) == len(module) || !wordByte(plainByte(name[len(module)])) {
		return true
	}
	if c := plainByte(name[len(module)]); c != '_' {
		return c >= '0' && c <= '9' // dm_mod is no name of dm's, sd0 is one of sd's
	}
	end := len(module)
	for end < len(name) && wordByte(plainByte(name[end])) {
		end++
	}
	other := strings.Map(func(r rune) rune {
		if r == '-' {
			return '_'
		}
		return r
	}, name[:end])
	return s.StateOf(other) == proc.Absent
}

func plainByte(c byte) byte {
	if c == '-' {
		return '_'
	}
	return c
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// fellAsleep is when a task fell asleep, in nanoseconds of boot time; false where the
// kernel does not tell (no CONFIG_SCHED_DEBUG before 6.15).
func (s *Waits) fellAsleep(t *Task) (int64, bool) {
	at, ok := s.lastRan(t.PID, t.TID)
	if !ok || !t.Asleep() {
		return 0, false
	}
	off, ok := s.bootOffset()
	return int64(at) + off, ok
}

// within tells whether a time of the scheduler's clock is at, or just after, a
// moment of boot time.
func (s *Waits) within(at uint64, moment int64) bool {
	off, ok := s.bootOffset()
	d := int64(at) + off - moment
	return ok && d >= -s.slack(moment) && d <= near
}

func (s *Waits) bootOf(start uint64) int64 { return int64(start) * clock.Tick }

// slack is how far two times may be apart, of clocks of which one is
// disciplined and the other is not.
func (s *Waits) slack(at int64) int64 {
	return int64(clockSlack) + max(0, s.Now-at)/1000
}

// startedByAnother tells whether it is another load whose init has likelier started a
// kernel thread: this one's has slept since before there was that thread, and
// the other's has not. Only who runs starts threads.
func (s *Waits) startedByAnother(k, o *Task) bool {
	began := s.bootOf(k.Start)
	before := func(t *Task) bool {
		fell, ok := s.fellAsleep(t)
		return ok && fell < began-s.slack(began)-near
	}
	if !before(o) {
		return false
	}
	for _, t := range s.Tasks {
		if t.Module != "" && t.Module != o.Module && !t.Waiter && s.Coming[t.Module] && t.ProcessStart <= k.Start && !before(t) {
			return true
		}
	}
	return false
}
