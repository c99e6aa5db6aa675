// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// TestUninterruptibleAncestor: a shell above a load that sleeps in state D waits
// for a file system, not for its child.
func TestUninterruptibleAncestor(t *testing.T) {
	for state, want := range map[byte]bool{'S': true, 'D': false} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", observetest.Request)
		s.AddTask(150, s.AddHelperWorker(150), 'S', observetest.Plain, 505, "do_wait", s.Call(proc.WaitChild, -1))
		s.AddTask(151, 150, state, observetest.Plain, 506, "pipe_read", s.Call(proc.Other))
		s.AddWaiter(200, 151, 510, "a")
		if _, likely := s.stuck(200); likely != want {
			t.Errorf("a shell in state %c: in a circle %v, want %v", state, likely, want)
		}
		// The same of what a command started and left.
		s = newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", observetest.Request)
		token := s.AddCommand(150, s.AddHelperWorker(150), 505)
		s.AddTask(151, 150, state, observetest.Plain, 506, "pipe_read", s.Call(proc.Other))
		s.AddWaiter(200, 1, 510, "a")
		s.Entries[1].Parent = token
		if _, likely := s.stuck(200); likely != want {
			t.Errorf("a command in state %c: in a circle %v, want %v", state, likely, want)
		}
	}
}

// TestFrozenAncestor: what a frozen cgroup holds goes on when it is thawed.
func TestFrozenAncestor(t *testing.T) {
	for wchan, want := range map[string]bool{"pipe_read": true, "do_freezer_trap": false, "__refrigerator": false} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", observetest.Request)
		s.AddTask(150, s.AddHelperWorker(150), 'S', observetest.Plain, 505, "do_wait", s.Call(proc.WaitChild, -1))
		s.AddTask(151, 150, 'S', observetest.Plain, 506, wchan, s.Call(proc.Other))
		s.AddWaiter(200, 151, 510, "a")
		if _, likely := s.stuck(200); likely != want {
			t.Errorf("%s: in a circle %v, want %v", wchan, likely, want)
		}
	}
}

// TestProgramWithThreads: one thread of a program waits for a child that waits;
// what its others do is not understood.
func TestProgramWithThreads(t *testing.T) {
	s := newSystem(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	s.AddTask(150, s.AddHelperWorker(150), 'S', observetest.Plain, 505, "futex_wait_queue", s.Call(proc.Other))
	s.AddThread(150, 151, s.Call(proc.WaitChild, 200))
	s.AddWaiter(200, 150, 510, "a")
	if proven, likely := s.stuck(200); proven || likely {
		t.Errorf("proven %v, likely %v, want neither", proven, likely)
	}
	s = newSystem(t)
	s.SetComing("a")
	s.AddLoad(100, 50, 500, "a", observetest.Request)
	s.AddTask(150, s.AddHelperWorker(150), 'S', observetest.Plain, 505, "do_wait", s.Call(proc.WaitChild, 200))
	s.AddThread(150, 151, s.Call(proc.Sleep))
	s.AddWaiter(200, 150, 510, "a")
	if proven, likely := s.stuck(200); proven || likely {
		t.Errorf("its first thread waits: proven %v, likely %v, want neither", proven, likely)
	}
}

// TestEntryOfTheGone: an invocation that ends between the reading of the
// registry and that of /proc, or whose pid is another's by then, says nothing.
func TestEntryOfTheGone(t *testing.T) {
	for name, f := range map[string]func(s *system){
		"gone": func(s *system) { _ = os.RemoveAll(filepath.Join(s.Dir, "proc/150")) },
		"reused": func(s *system) {
			s.AddTask(150, 50, 'S', observetest.Plain, 900, "do_wait", s.Call(proc.WaitChild, -1))
		},
		"zombie": func(s *system) {
			s.AddTask(150, s.AddHelperWorker(150), 'Z', observetest.Plain, 505, "", s.Call(proc.Other))
		},
	} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", observetest.Request)
		s.AddWaiter(150, s.AddHelperWorker(150), 505, "a")
		f(s)
		_, now := s.shoots(func() {})
		if now.Entries[150] != nil {
			t.Errorf("%s: it is believed", name)
		}
	}
}

// registry is that of the system's directory, to be read with the procfs.
func (s *system) registry() (*proc.FS, *registry.Registry) {
	p, sys := s.Open()
	r := registry.New(filepath.Join(s.Dir, "safeload"))
	s.T.Cleanup(func() {
		r.Close()
		sys.Close()
		p.Close()
	})
	return p, &r
}

// TestForeignRegistry: in another pid namespace every entry is somebody's whose
// pid means nothing here. None is believed, and none removed.
func TestForeignRegistry(t *testing.T) {
	s := newSystem(t)
	p, r := s.registry()
	mine := registry.Entry{PID: 1 << 30, Start: 7, State: registry.StateWait, Module: "a", Token: registry.NewToken()}
	if err := r.Publish(mine); err != nil {
		t.Fatal(err)
	}
	r.Foreign = true
	if all, err := r.Read(p); err != nil || len(all) != 0 {
		t.Errorf("from another namespace: %v, %v", all, err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "safeload", "1073741824.7")); err != nil {
		t.Errorf("an entry was removed from another namespace: %v", err)
	}
	r.Foreign = false
	if _, err := r.Read(p); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "safeload", "1073741824.7")); !os.IsNotExist(err) {
		t.Errorf("what the dead left is still there: %v", err)
	}
}

// TestHidden: where /proc hides others' processes (hidepid=), an entry whose
// process is not seen there may be of one that lives.
func TestHidden(t *testing.T) {
	s := newSystem(t)
	p, r := s.registry()
	if err := r.Publish(registry.Entry{PID: unix.Getpid(), Start: 7, State: registry.StateWait, Module: "a", Token: registry.NewToken()}); err != nil {
		t.Fatal(err)
	}
	if all, err := r.Read(p); err != nil || len(all) != 0 {
		t.Errorf("an entry whose writer cannot be told is believed: %v, %v", all, err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "safeload", proc.Itoa(unix.Getpid())+".7")); err != nil {
		t.Errorf("it was removed: %v", err)
	}
}

// TestWhoseThread: of two inits that sleep, a kernel thread of any name is, when
// the settings are bold, of the one that still ran when it was made. Without
// times any may be.
func TestWhoseThread(t *testing.T) {
	const age = 5 * time.Second // of the kernel thread
	for name, tt := range map[string]struct {
		a, b  time.Duration // how long ago the inits ran
		other bool          // the second one is there
		want  bool          // a's is taken to wait for the thread
	}{
		"a ran last":                     {a: 4 * time.Second, b: 4 * time.Second, other: true, want: true},
		"a slept before, b ran":          {a: 20 * time.Second, b: 4 * time.Second, other: true, want: false},
		"both slept before":              {a: 20 * time.Second, b: 20 * time.Second, other: true, want: false},
		"a slept before, nobody else":    {a: 20 * time.Second, want: false},
		"a slept just about then, b ran": {a: age, b: 4 * time.Second, other: true, want: true},
		"a is asleep since nobody knows": {a: -1, b: 4 * time.Second, other: true, want: true},
		"b has begun after the thread":   {a: 4 * time.Second, b: 2 * time.Second, other: false, want: true},
		"a ran last, b waits for a's":    {a: 4 * time.Second, b: -2, other: true, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // the clock is that of our own thread
			defer runtime.UnlockOSThread()
			s := newSystem(t)
			s.Bold = true
			now := clock.Boot() / clock.Tick
			s.SetComing("a")
			start := int(now) - 3000
			s.AddLoad(100, 50, start, "a", "a_init")
			s.AddKthread(120, 0, observetest.Request, int(now-int64(age/clock.Tick)))
			s.AddWaiter(200, s.AddHelperWorker(200), int(now-int64(age/clock.Tick))+5, "a")
			s.ran(unix.Getpid(), unix.Gettid(), 0)
			if tt.a >= 0 {
				s.ran(100, 100, tt.a)
			}
			switch {
			case tt.b == -2: // it waits for another's load, and runs no init
				s.SetComing("b")
				s.AddLoad(110, 50, start, "b", fileWait)
			case tt.other:
				s.SetComing("b")
				s.AddLoad(110, 50, start, "b", "b_init")
				s.ran(110, 110, tt.b)
			case tt.b > 0:
				s.SetComing("b")
				s.AddLoad(110, 50, int(now)-100, "b", "b_init")
				s.ran(110, 110, tt.b)
			}
			if proven, likely := s.stuck(200); proven || likely != tt.want {
				t.Errorf("proven %v, likely %v, want %v", proven, likely, tt.want)
			}
		})
	}
}

// TestWhoseWork: of two inits that flush work, a worker that asks is at the work
// of the one that fell asleep then.
func TestWhoseWork(t *testing.T) {
	const asked = 5 * time.Second
	for name, tt := range map[string]struct {
		a, b  time.Duration
		wchan string // of b's init
		want  bool
	}{
		"a's":                           {asked, 20 * time.Second, "__flush_work", true},
		"b's":                           {20 * time.Second, asked, "__flush_work", false},
		"nobody else's":                 {20 * time.Second, asked, "b_init", true},
		"neither fell asleep then":      {20 * time.Second, 15 * time.Second, "__flush_work", true},
		"both at once":                  {asked, asked, "__flush_work", true},
		"b flushes, but fell asleep on": {20 * time.Second, time.Second, "__flush_work", true},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // the clock is that of our own thread
			defer runtime.UnlockOSThread()
			s := newSystem(t)
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", "__flush_work")
			s.AddLoad(110, 50, 500, "b", tt.wchan)
			s.AddKthread(120, observetest.Worker&^observetest.Kernel, observetest.Request, 5)
			s.AddWaiter(200, s.AddHelperWorker(200), 510, "a")
			s.ran(unix.Getpid(), unix.Gettid(), 0)
			s.ran(100, 100, tt.a)
			s.ran(110, 110, tt.b)
			s.ran(120, 120, asked)
			if proven, likely := s.stuck(200); proven || likely != tt.want {
				t.Errorf("proven %v, likely %v, want %v", proven, likely, tt.want)
			}
		})
	}
}

// TestIdle: of who sleeps in epoll_wait and its like nothing else is read; a
// wait of the kernel for a load is none of these.
func TestIdle(t *testing.T) {
	for wchan, want := range map[string]bool{
		"ep_poll": false, "poll_schedule_timeout.constprop.0": false, "futex_wait_queue": false,
		"": true, "do_init_module": true, fileWait: true, "schedule_timeout": true,
	} {
		s := newSystem(t)
		s.SetComing("a")
		s.AddLoad(100, 50, 500, "a", "do_wait")
		s.AddTask(100, 50, 'S', observetest.Plain, 500, wchan, s.Call(proc.FinitModule, 3))
		s.AddTask(200, 1, 'S', observetest.Plain, 500, "do_wait", s.Call(proc.WaitChild, 201))
		s.AddThread(200, 201, s.Call(proc.FinitModule, 3))
		s.Write("proc/200/task/201/wchan", wchan)
		_, now := s.shoots(func() {})
		for _, tid := range []int{100, 201} {
			seen := now.Tasks[tid] != nil && now.Tasks[tid].Kind == proc.FinitModule
			if seen != want {
				t.Errorf("%d, asleep in %q: its call was read %v, want %v", tid, wchan, seen, want)
			}
		}
	}
}
