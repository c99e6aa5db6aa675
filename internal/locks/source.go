// SPDX-License-Identifier: Apache-2.0

package locks

import (
	"errors"
	"fmt"

	"safeload/bpf"
	"safeload/guard/graph"
	"safeload/internal/kallsyms"
	"safeload/internal/proc"
)

// Thread is a thread of the system.
type Thread struct{ PID, TID int }

// Source finds the locks of the running system. It must be closed.
type Source struct {
	peek   *bpf.Peek
	reader *Reader
	proc   *proc.FS
	known  map[uint64]Thread
	all    bool // known has everybody
}

// Open prepares to look at locks: [bpf.OpenPeek] and [Learn].
func Open() (*Source, error) {
	s := &Source{known: make(map[uint64]Thread)}
	var err error
	if s.peek, err = bpf.OpenPeek(); err != nil {
		return nil, err
	}
	if s.proc, err = proc.OpenProc(); err != nil {
		s.Close()
		return nil, err
	}
	var code Code
	if functions, err := kallsyms.Of(kallsyms.Path, functionNames...); err == nil {
		code = readCode(functions)
	}
	if code == nil { // what stands on a stack beside a thread may then be anything's
		s.Close()
		return nil, errors.New("which code waits for a lock cannot be told: /proc/kallsyms shows no addresses (kernel.kptr_restrict)")
	}
	if s.reader, err = Learn(s, code); err != nil {
		s.Close()
		return nil, fmt.Errorf("this kernel's locks are not understood: %w", err)
	}
	s.Forget()
	return s, nil
}

// Stack is [Memory]'s.
func (s *Source) Stack() (sp, task uint64, err error) { return s.peek.Stack() }

// Read is [Memory]'s.
func (s *Source) Read(addr uint64, b []byte) error { return s.peek.Read(addr, b) }

// IsTask is [Memory]'s. A thread that began after all were listed is none.
func (s *Source) IsTask(addr uint64) bool {
	s.list(addr)
	_, known := s.known[addr]
	return known
}

// Close ends it.
func (s *Source) Close() {
	s.peek.Close()
	s.proc.Close()
}

// Forget is for before a new look: numbers are used again.
func (s *Source) Forget() { s.known, s.all = make(map[uint64]Thread), false }

// Of returns what a thread waits for, if it is a lock with a holder who can be seen.
func (s *Source) Of(pid, tid int) (graph.Holding, bool) {
	task, err := s.task(Thread{pid, tid})
	if err != nil {
		return graph.Holding{}, false
	}
	l, ok := s.reader.Of(task)
	if !ok {
		return graph.Holding{}, false
	}
	certainty := graph.Likely
	if l.Kind.Certain() {
		certainty = graph.Certain
	}
	h, ok := s.thread(l.Task)
	return graph.Holding{PID: h.PID, TID: h.TID, Kind: l.Kind.String(), Certainty: certainty}, ok
}

func (s *Source) task(t Thread) (uint64, error) {
	task, err := s.peek.Task(t.PID, t.TID)
	if err == nil {
		s.known[task] = t
	}
	return task, err
}

// list lists all threads, if this one is not known and they have not been listed.
func (s *Source) list(task uint64) {
	if _, known := s.known[task]; known || s.all {
		return
	}
	s.all = true
	_ = s.proc.PIDs(func(pid int) bool {
		_ = s.proc.Threads(pid, func(tid int) bool {
			_, _ = s.task(Thread{pid, tid})
			return true
		})
		return true
	})
}

// thread tells whose task_struct it is. Its number may have been another's when it was
// looked at first: it is asked for again.
func (s *Source) thread(task uint64) (Thread, bool) {
	s.list(task)
	t, known := s.known[task]
	if !known {
		return Thread{}, false
	}
	again, err := s.peek.Task(t.PID, t.TID)
	return t, err == nil && again == task
}
