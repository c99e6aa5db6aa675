// SPDX-License-Identifier: Apache-2.0

package ancestry

// Answer on a load that is about to wait for a module that is coming.
type Answer uint8

// The verdicts.
const (
	Unknown     Answer = iota // the maps do not tell
	Independent               // that module does not wait for us: the kernel's wait is right
	Likely                    // it does, if the init still waits for the thread or work item that asks
	Proven                    // it does
)

func (v Answer) String() string {
	switch v {
	case Independent:
		return "independent"
	case Likely:
		return "likely"
	case Proven:
		return "proven"
	}
	return "unknown"
}

// Link is one step of a chain from the load that would be waited for to the
// process that would wait.
type Link struct {
	Module    string // that a load is for
	TID       int    // of the task that is in the load
	Request   string // what was asked for on its behalf; empty: not a module
	Requester int    // thread that waits in the request
	Kthread   bool   // the requester is a kernel thread that the init started
	Work      bool   // the requester is at a work item that the init queued
	Child     int    // process that the kernel started for the request
	Asleep    bool   // the load's task was, at this moment, in a wait for a completion
}

// maxHops is more than the requests that the kernel lets be in flight at once
// (kmod_concurrent_max, 50), and ends any walk.
const maxHops = 64

// Waiting is a process that waits for a module in user space, or is about to
// in the kernel, where the maps do not show it yet.
type Waiting struct {
	PID    int
	Module string
}

// Decide says whether module, which is coming, waits for the process pid. pids
// are those of the initial pid namespace. others are the waits that the maps
// may not show yet; whoever asks should have published its own before it
// collected them, so that of two that close a cycle together one sees the
// other. A cycle that only they close is Unknown: who of them gives way is not
// for the maps to say.
func (m *Maps) Decide(module string, pid int, others []Waiting) (Answer, []Link) {
	whole := m.Whole()
	t, _ := m.task(pid)
	target, known := m.name(module)
	if !known {
		return Unknown, nil
	}
	free := false
	v, hops := m.up(target, t.ctx)
	if v == Unknown {
		mine := m.above(t.ctx)
		v, hops = m.down(target, mine)
		free = v == Unknown && whole && m.free(target, mine, others)
	}
	// Read again: the keeper may have died, and a load ended, in between.
	if now, ok := m.name(module); !ok || now != target || !m.kept() || !m.attached() {
		return Unknown, nil
	}
	if free && m.Whole() {
		return Independent, nil
	}
	return v, hops
}

// Loading returns the process whose call loads a module that is coming.
func (m *Maps) Loading(module string) (pid int, ok bool) {
	id, ok := m.name(module)
	if !ok {
		return 0, false
	}
	l, ok := m.load(id)
	return int(l.tgid), ok
}

// free reports whether nothing that a load waits for, in the kernel or by the
// word of others, leads to a request that we descend from.
func (m *Maps) free(target uint64, mine map[uint64]bool, others []Waiting) bool {
	if len(mine) == 0 {
		_, known := m.load(target)
		return known // the kernel waits for nobody that we descend from
	}
	next := make(map[uint64][]uint64)
	for _, o := range others {
		t, ok := m.task(o.PID)
		id, known := m.name(o.Module)
		if !ok || t.ctx == 0 {
			continue // nor for them
		}
		if !known {
			return false
		}
		next[t.ctx] = append(next[t.ctx], id)
	}
	todo := []uint64{target}
	seen := map[uint64]bool{}
	for len(todo) > 0 && len(seen) < 4*maxHops {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		l, ok := m.load(id)
		if id == target && !ok {
			return false // what it waits for is not known
		}
		if seen[id] || !ok {
			continue
		}
		seen[id] = true
		if next, waits := m.waitsFor(l); next != 0 {
			todo = append(todo, next)
		} else if waits {
			return false
		}
		for _, req := range []uint64{l.req, l.kreq} {
			r, ok := m.request(req)
			if !ok {
				continue
			}
			if mine[req] || r.many {
				return false
			}
			todo = append(append(todo, r.next), next[req]...)
		}
	}
	return len(todo) == 0
}

// waitsFor returns the load that one waits for, 0 if it is not known, and
// whether it waits at all. Whose the name is may have shown only since.
func (m *Maps) waitsFor(l load) (id uint64, waits bool) {
	if l.wait != 0 || l.flags&loadWaits == 0 {
		return l.wait, l.wait != 0
	}
	if l.name != "" {
		id, _ = m.name(l.name)
	}
	return id, true
}

// up follows the requests that a task descends from to the target.
func (m *Maps) up(target, ctx uint64) (Answer, []Link) {
	v := Proven
	var hops []Link
	for range maxHops {
		r, ok := m.request(ctx)
		if !ok {
			return Unknown, nil
		}
		l, ok := m.load(r.load)
		if r.load != 0 && !ok {
			return Unknown, nil
		}
		h := hop(r, l)
		if r.load != 0 && r.hop != hopTask {
			v = Likely
		}
		hops = append(hops, h)
		if r.load == target {
			for i, j := 0, len(hops)-1; i < j; i, j = i+1, j-1 {
				hops[i], hops[j] = hops[j], hops[i]
			}
			return v, hops
		}
		ctx = r.parent
	}
	return Unknown, nil
}

// above returns the requests that a task descends from.
func (m *Maps) above(ctx uint64) map[uint64]bool {
	mine := make(map[uint64]bool)
	for range maxHops {
		r, ok := m.request(ctx)
		if !ok {
			break
		}
		mine[ctx] = true
		ctx = r.parent
	}
	return mine
}

// down follows the target along what it is waiting for to a request that a
// task descends from. It sees cycles over several tasks.
func (m *Maps) down(target uint64, mine map[uint64]bool) (Answer, []Link) {
	v := Proven
	var hops []Link
	for range maxHops {
		l, ok := m.load(target)
		if !ok {
			return Unknown, nil
		}
		id := l.req
		if next, _ := m.waitsFor(l); id == 0 && next != 0 {
			target = next
			continue
		}
		if id == 0 {
			id = l.kreq
			v = Likely
		}
		r, ok := m.request(id)
		if !ok {
			return Unknown, nil
		}
		hops = append(hops, hop(r, l))
		if mine[id] {
			return v, hops
		}
		target = r.next
	}
	return Unknown, nil
}

func hop(r request, l load) Link {
	return Link{
		Module: l.name, TID: int(l.tid), Request: r.name, Requester: int(r.tid),
		Kthread: r.hop == hopKthread, Work: r.hop == hopWork, Child: int(r.child),
		Asleep: l.flags&loadBlocked != 0,
	}
}
