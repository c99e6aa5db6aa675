// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"safeload/guard/graph"
	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
)

// lockTable says who holds what a thread waits for.
type lockTable map[int]graph.Holding

func (l lockTable) Of(_, tid int) (graph.Holding, bool) {
	h, ok := l[tid]
	return h, ok
}
func (lockTable) Close() {}

func heldBy(pid int, sure graph.Certainty) graph.Holding {
	return graph.Holding{PID: pid, TID: pid, Kind: "mutex", Certainty: sure}
}

// afterAMinute makes it a minute after the machine's tasks last ran.
func (s *surveyed) afterAMinute() {
	s.T.Helper()
	runtime.LockOSThread()
	s.T.Cleanup(runtime.UnlockOSThread)
	pid, tid := unix.Getpid(), unix.Gettid()
	dir := fmt.Sprintf("proc/%d/task/%d/", pid, tid)
	if tid == pid {
		dir = fmt.Sprintf("proc/%d/", pid)
	}
	s.Write(dir+"sched", fmt.Sprintf("me (1, #threads: 1)\nse.exec_start                 : %20.6f\n", 61000.0))
}

// surveyLocks is survey where the locks can be read.
func (s *surveyed) surveyLocks(locks lockTable) *Survey {
	s.T.Helper()
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, ShowRepeats: true}
	sv := &Survey{}
	sv.watch(func() *observe.Waits {
		w := eyes.Look(s.Entries, true)
		w.ReadLocks(locks)
		return w
	}, 0)
	return sv
}

// writer is a process in a system call that waits in a function.
func (s *surveyed) writer(pid int, wchan string) {
	s.AddTask(pid, 50, 'D', observetest.Plain, 500, wchan, s.Call(0))
}

// asked: process 100 has asked for m, whose helper 200 loads it and sleeps in its init.
func asked(t *testing.T) *surveyed {
	s := newSurveyed(t)
	s.writer(100, observetest.Request)
	w := s.AddHelperWorker(200)
	s.SetComing("m")
	s.AddLoad(200, w, 510, "m", "take_mutex")
	s.LastRan(1000, 100, 200, w)
	return s
}

func TestLockOfAsker(t *testing.T) {
	sv := asked(t).surveyLocks(lockTable{200: heldBy(100, graph.Certain)})
	if len(sv.Findings) != 1 {
		t.Fatalf("%d findings: %+v", len(sv.Findings), sv.Edges)
	}
	f := sv.Findings[0]
	if f.Kind != graph.Lock || f.Certainty != graph.Certain || f.Asker != 100 || f.Kernel || f.Waiter != 0 || f.Module != "m" || len(f.Chain) != 2 {
		t.Errorf("%+v", f)
	}
}

// Between the load and who asked stands one who holds the one lock and waits for the other.
func TestLockTwoHops(t *testing.T) {
	s := asked(t)
	s.writer(101, "between")
	sv := s.surveyLocks(lockTable{200: heldBy(101, graph.Certain), 101: heldBy(100, graph.Certain)})
	if len(sv.Findings) != 1 || len(sv.Findings[0].Chain) != 3 || sv.Findings[0].Asker != 100 {
		t.Errorf("%+v", sv.Findings)
	}
}

// Who holds the lock is slow, and lives: asleep for a time, or at work. Nobody is found,
// however long it takes, and whoever else waits.
func TestLockOfSlow(t *testing.T) {
	for name, slow := range map[string]func(s *surveyed){
		"asleep":       func(s *surveyed) { s.writer(101, "msleep") },
		"in I/O":       func(s *surveyed) { s.writer(101, "io_schedule") },
		"waits as two": func(s *surveyed) { s.writer(101, "between") },
		"runs":         func(s *surveyed) { s.AddTask(101, 50, 'R', observetest.Plain, 500, "0", "running\n") },
		"kernel thread": func(s *surveyed) {
			s.AddKthread(101, 0, "msleep", 20)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := asked(t)
			slow(s)
			s.afterAMinute()
			locks := lockTable{200: heldBy(101, graph.Certain)}
			if sv := s.surveyLocks(locks); len(sv.Findings) != 0 {
				t.Errorf("%+v", sv.Findings)
			}
		})
	}
}

// The lock of a module's init that is likely waiting for a kernel thread explains it: that thread is not looked for.
func TestLockClears(t *testing.T) {
	s := newSurveyed(t)
	s.SetComing("m")
	s.AddLoad(100, 50, 500, "m", "take_mutex")
	s.AddKthread(150, 0, observetest.Request, 501)
	s.SetComm(150, "m")
	w := s.AddHelperWorker(200)
	s.AddLoad(200, w, 510, "m", loadWaitAt)
	s.LastRan(1000, 100, 150, 200, w)
	s.afterAMinute()
	if sv := s.survey(); len(sv.Findings) != 1 {
		t.Errorf("without the lock: %+v", sv.Findings)
	}
	s.writer(101, "msleep")
	if sv := s.surveyLocks(lockTable{100: heldBy(101, graph.Certain)}); len(sv.Findings) != 0 {
		t.Errorf("%+v", sv.Findings)
	}
}

// Of a semaphore's readers the last is known, who may have left: that must have stood for long.
func TestLockLikely(t *testing.T) {
	s := asked(t)
	locks := lockTable{200: heldBy(100, graph.Likely)}
	if sv := s.surveyLocks(locks); len(sv.Findings) != 0 {
		t.Errorf("early: %+v", sv.Findings)
	}
	s.afterAMinute()
	if sv := s.surveyLocks(locks); len(sv.Findings) != 1 || sv.Findings[0].Certainty != graph.Likely {
		t.Errorf("%+v", sv.Findings)
	}
}

// Who asks is a kernel thread: no signal reaches it.
func TestLockOfKthread(t *testing.T) {
	s := newSurveyed(t)
	s.AddKthread(100, 0, observetest.Request, 500)
	w := s.AddHelperWorker(200)
	s.SetComing("m")
	s.AddLoad(200, w, 510, "m", "take_mutex")
	s.LastRan(1000, 100, 200, w)
	sv := s.surveyLocks(lockTable{200: heldBy(100, graph.Certain)})
	if len(sv.Findings) != 1 || !sv.Findings[0].Kernel || sv.Findings[0].Asker != 100 {
		t.Errorf("%+v", sv.Findings)
	}
}

// A worker asks from an async function; the load is live, and waits for all of these.
func TestAsync(t *testing.T) {
	s := newSurveyed(t)
	s.AddKthread(100, observetest.Worker&^observetest.Kernel, observetest.Request, 5)
	s.SetComm(100, "kworker/u4:1+async")
	w := s.AddHelperWorker(200)
	s.Write("sys/module/m/initstate", "live\n")
	s.AddLoad(200, w, 510, "m", "async_synchronize_cookie_domain")
	s.LastRan(1000, 100, 200, w)
	sv := s.survey()
	if len(sv.Findings) != 1 {
		t.Fatalf("%+v", sv.Edges)
	}
	if f := sv.Findings[0]; f.Kind != graph.Async || f.Certainty != graph.Certain || f.Module != "m" || !f.Kernel {
		t.Errorf("%+v", f)
	}
}

// surveyBlind is survey where the kernel's memory cannot be read.
func (s *surveyed) surveyBlind() *Survey {
	s.T.Helper()
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, ShowRepeats: true}
	sv := &Survey{}
	held := &lockReader{}
	sv.watch(func() *observe.Waits {
		w := eyes.Look(s.Entries, true)
		held.read(w, sv)
		return w
	}, 0)
	return sv
}

const inMutex = "[<0>] __mutex_lock.constprop.0+0x4e2/0x950\n[<0>] slreq_init+0x20/0x100 [m]\n"

// Where the kernel's memory cannot be read a stack tells that a load is in a lock, and who asked
// for it may hold that, if nobody else can.
func TestLockByStack(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *surveyed)
		found  int
	}{
		"nobody else":         {func(*surveyed) {}, 1},
		"one who reads a tty": {func(s *surveyed) { s.AddTask(101, 50, 'S', observetest.Plain, 500, "wait_woken", s.Call(0)) }, 1},
		"one who waits for another lock": {func(s *surveyed) {
			s.writer(101, "between")
			s.WriteTask(101, "stack", "[<0>] rwsem_down_read_slowpath+0x1/0x2\n[<0>] between+0x1/0x2\n")
		}, 1},
		"somebody slow": {func(s *surveyed) {
			s.writer(101, "msleep")
			s.WriteTask(101, "stack", "[<0>] msleep+0x1/0x2\n[<0>] slow+0x1/0x2\n")
		}, 0},
		"a thread of the kernel at work": {func(s *surveyed) { s.AddKthread(101, 0, "io_schedule", 20) }, 0},
		"no lock": {func(s *surveyed) {
			s.WriteTask(200, "stack", "[<0>] wait_for_completion+0x1/0x2\n[<0>] m_init+0x1/0x2 [m]\n")
		}, 0},
		"a lock below another wait": {func(s *surveyed) {
			s.WriteTask(200, "stack", "[<0>] wait_for_completion+0x1/0x2\n[<0>] __mutex_lock+0x1/0x2\n")
		}, 0},
		"no stack": {func(s *surveyed) { s.WriteTask(200, "stack", "") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := asked(t)
			s.WriteTask(200, "stack", inMutex)
			c.change(s)
			s.afterAMinute()
			sv := s.surveyBlind()
			if len(sv.Findings) != c.found {
				t.Fatalf("%+v, want %d", sv.Findings, c.found)
			}
			if sv.NoLocks == nil {
				t.Error("that locks cannot be read is not said")
			}
			for _, f := range sv.Findings {
				if f.Certainty != graph.Likely || f.Kind != graph.Lock || f.Asker != 100 {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// The kernel tells nothing of a task that it has moved to another processor (see proc.FS.Slept): of the others of the circle
// it must, as where it tells of nobody slow and stuck look the same.
func TestMovedTask(t *testing.T) {
	for name, c := range map[string]struct {
		moved []int
		found int
	}{
		"who loads": {[]int{200}, 1},
		"who asked": {[]int{100}, 1},
		"all":       {[]int{100, 200, observetest.HelperWorker(200)}, 0},
	} {
		s := asked(t)
		s.WriteTask(200, "stack", inMutex)
		s.afterAMinute()
		s.LastRan(0, c.moved...)
		if sv := s.surveyLocks(lockTable{200: heldBy(100, graph.Likely)}); len(sv.Findings) != c.found {
			t.Errorf("%s: %+v, want %d", name, sv.Findings, c.found)
		}
		sv := s.surveyBlind()
		if len(sv.Findings) != c.found {
			t.Errorf("%s, by the stack: %+v, want %d", name, sv.Findings, c.found)
		}
		if sv.NoLocks == nil {
			t.Errorf("%s: that locks cannot be read is not said", name)
		}
	}
}

// A worker asks, and the init flushes its queue: the circle is shown by way of who asked, not
// of the worker that runs the helper.
func TestQueue(t *testing.T) {
	s := newSurveyed(t)
	s.AddKthread(100, observetest.Worker&^observetest.Kernel, observetest.Request, 5)
	s.SetComm(100, "kworker/u4:2+slhub")
	w := s.AddHelperWorker(200)
	s.SetComm(w, "kworker/u4:4+events_unbound")
	s.SetComing("m")
	s.AddLoad(200, w, 510, "m", "__flush_workqueue")
	s.LastRan(1000, 100, 200, w)
	if sv := s.survey(); len(sv.Findings) != 0 {
		t.Errorf("early: %+v", sv.Findings)
	}
	s.afterAMinute()
	sv := s.survey()
	if len(sv.Findings) != 1 {
		t.Fatalf("%+v", sv.Findings)
	}
	if f := sv.Findings[0]; f.Kind != graph.Queue || f.Certainty != graph.Likely || f.Module != "m" || f.Asker != 100 || !f.Kernel {
		t.Errorf("%+v", f)
	}
}
