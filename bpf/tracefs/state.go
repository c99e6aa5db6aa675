// SPDX-License-Identifier: Apache-2.0

package tracefs

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"safeload/bpf"
)

// state does in user space what the probe's maps do in the kernel: it gives
// loads and requests ids and says who descends from which request.
type state struct {
	next     uint64
	tasks    map[uint32]*task
	loads    map[uint64]*load
	requests map[uint64]*request
	subs     map[uint64]uint64
	tgid     func(tid uint32) uint32 // nil: from /proc
}

type task struct{ ctx, load uint64 }

type load struct {
	id, ctx uint64
	finit   bool
	init    bool
	file    []uint64 // words of its struct file, once it owns the file
	waits   bool
}

type request struct {
	load  uint64
	child uint32
}

const umhWaitProc = 2

// apply turns a line into the events that the probe would have sent.
func (s *state) apply(l line) []bpf.Event {
	if s.tasks == nil {
		s.tasks, s.loads = make(map[uint32]*task), make(map[uint64]*load)
		s.requests, s.subs = make(map[uint64]*request), make(map[uint64]uint64)
	}
	e := bpf.Event{At: l.at, TID: l.tid, TGID: l.tid, Comm: l.comm, Ret: -1}
	t := s.tasks[l.tid]
	switch l.event {
	case "sys_finit_module", "sys_init_module":
		if ret, ok := strings.CutPrefix(l.rest, "-> "); ok {
			return s.loadEnd(e, t, ret)
		}
		return s.loadBegin(e, t, l)
	case "module_load":
		ld := s.loadOf(t)
		if ld == nil {
			return nil
		}
		ld.init = true
		e.Kind, e.ID, e.Ctx = bpf.Init, ld.id, ld.ctx
		e.Name, _, _ = strings.Cut(l.rest, " ")
		return []bpf.Event{e}
	case "request":
		return s.request(e, t, l)
	case "child":
		id := s.subs[l.word("sub")]
		delete(s.subs, l.word("sub"))
		r := s.requests[id]
		if r == nil {
			return nil
		}
		r.child = l.tid
		s.tasks[l.tid] = &task{ctx: id}
		e.Kind, e.ID, e.Peer, e.Ctx = bpf.Child, id, r.load, id
		return []bpf.Event{e}
	case "sched_process_fork":
		i := strings.LastIndex(l.rest, "child_pid=")
		if t == nil || t.ctx == 0 || i < 0 {
			return nil
		}
		child, err := strconv.ParseUint(l.rest[i+len("child_pid="):], 10, 31)
		if err != nil {
			return nil
		}
		s.tasks[uint32(child)] = &task{ctx: t.ctx}
		e.Kind, e.Ret, e.Ctx = bpf.Fork, int32(child), t.ctx
		return []bpf.Event{e}
	case "sched_process_exit":
		return s.exit(e, t)
	case "file":
		if ld := s.loadOf(t); ld != nil && ld.finit && ld.file == nil {
			for i := range fileWords {
				ld.file = append(ld.file, l.word("w"+strconv.Itoa(i)))
			}
		}
	case "name":
		ld := s.loadOf(t)
		if ld == nil || ld.waits || ld.init {
			return nil
		}
		name := strings.Trim(l.value("name"), `"`)
		return s.wait(e, ld, 0, name, bpf.WaitName)
	case "soft", "hard":
		return s.fileWait(e, t, l)
	}
	return nil
}

func (s *state) loadOf(t *task) *load {
	if t == nil {
		return nil
	}
	return s.loads[t.load]
}

func (s *state) id() uint64 { s.next++; return s.next }

func (s *state) loadBegin(e bpf.Event, t *task, l line) []bpf.Event {
	if t == nil {
		t = &task{}
		s.tasks[l.tid] = t
	}
	ld := &load{id: s.id(), ctx: t.ctx}
	if _, fd, ok := strings.Cut(l.rest, "fd: "); ok {
		fd, _, _ = strings.Cut(fd, ",")
		if n, err := strconv.ParseUint(strings.TrimPrefix(fd, "0x"), 16, 31); err == nil {
			e.Ret, ld.finit = int32(n), true
		}
	}
	t.load = ld.id
	s.loads[ld.id] = ld
	e.Kind, e.ID, e.Ctx, e.TGID = bpf.LoadBegin, ld.id, ld.ctx, s.tgidOf(l.tid)
	return []bpf.Event{e}
}

func (s *state) loadEnd(e bpf.Event, t *task, ret string) []bpf.Event {
	ld := s.loadOf(t)
	if ld == nil {
		return nil
	}
	delete(s.loads, ld.id)
	t.load = 0
	if t.ctx == 0 {
		delete(s.tasks, e.TID)
	}
	n, _ := strconv.ParseUint(ret, 0, 64)
	e.Kind, e.ID, e.Ctx, e.Ret = bpf.LoadEnd, ld.id, ld.ctx, int32(n)
	return []bpf.Event{e}
}

func (s *state) request(e bpf.Event, t *task, l line) []bpf.Event {
	if l.word("wait")&umhWaitProc == 0 {
		return nil
	}
	id := s.id()
	r := &request{}
	e.Kind, e.ID = bpf.Request, id
	if t != nil {
		e.Ctx = t.ctx
		if ld := s.loadOf(t); ld != nil {
			r.load = ld.id
			e.Peer, e.How = ld.id, uint32(bpf.ViaTask)
		}
	}
	s.requests[id] = r
	s.subs[l.word("sub")] = id
	return []bpf.Event{e}
}

func (s *state) exit(e bpf.Event, t *task) []bpf.Event {
	if t == nil {
		return nil
	}
	delete(s.tasks, e.TID)
	var out []bpf.Event
	if ld := s.loadOf(t); ld != nil {
		delete(s.loads, ld.id)
		end := e
		end.Kind, end.ID, end.Ctx, end.Ret = bpf.LoadEnd, ld.id, ld.ctx, -4
		out = append(out, end)
	}
	if t.ctx == 0 {
		return out
	}
	if r := s.requests[t.ctx]; r != nil && r.child == e.TID {
		delete(s.requests, t.ctx)
		end := e
		end.Kind, end.ID, end.Peer = bpf.RequestEnd, t.ctx, r.load
		out = append(out, end)
	}
	e.Kind, e.Ctx = bpf.Exit, t.ctx
	return append(out, e)
}

// fileWait is a wait by inode, if the word where struct idempotent has its
// cookie is among the words of a struct file that a load in flight owns.
func (s *state) fileWait(e bpf.Event, t *task, l line) []bpf.Event {
	ld := s.loadOf(t)
	cookie := l.word("cookie")
	if ld == nil || !ld.finit || ld.init || ld.waits || ld.file != nil || cookie == 0 {
		return nil
	}
	how := bpf.WaitFile
	if l.event == "hard" {
		how = bpf.WaitFileHard
	}
	for _, o := range s.loads {
		if o != ld && slices.Contains(o.file, cookie) {
			return s.wait(e, ld, o.id, "", how)
		}
	}
	return nil
}

func (s *state) wait(e bpf.Event, ld *load, peer uint64, name string, how bpf.WaitHow) []bpf.Event {
	ld.waits = true
	e.Kind, e.ID, e.Peer, e.Ctx, e.Name, e.How = bpf.Wait, ld.id, peer, ld.ctx, name, uint32(how)
	e.TGID = s.tgidOf(e.TID)
	return []bpf.Event{e}
}

func (s *state) tgidOf(tid uint32) uint32 {
	if s.tgid != nil {
		return s.tgid(tid)
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(tid)) + "/status")
	if err != nil {
		return tid
	}
	_, v, _ := strings.Cut(string(b), "\nTgid:")
	v, _, _ = strings.Cut(v, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(v), 10, 32)
	if err != nil {
		return tid
	}
	return uint32(n)
}
