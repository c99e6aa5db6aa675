// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"safeload/guard/graph"
	"safeload/guard/observe"
	"safeload/guard/registry"
	"safeload/internal/clock"
	"safeload/internal/proc"
)

// system is a made-up machine: a /proc and a /sys of plain files.
type system struct {
	t       testing.TB
	dir     string
	entries []registry.Entry
	bold    bool // the settings are
	ahead   *int64
}

func newSystem(t testing.TB) *system {
	s := &system{t: t, dir: t.TempDir()}
	for _, d := range []string{"proc", "sys/module", "ko"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.kthread(2, 0, "", 0) // kthreadd
	return s
}

// open opens both; the caller closes them.
func (s *system) open() (p, sys *proc.FS) {
	s.t.Helper()
	p, err := proc.OpenDir(filepath.Join(s.dir, "proc"))
	if err != nil {
		s.t.Fatal(err)
	}
	if sys, err = proc.OpenDir(filepath.Join(s.dir, "sys")); err != nil {
		s.t.Fatal(err)
	}
	return p, sys
}

func (s *system) write(path, text string) {
	s.t.Helper()
	path = filepath.Join(s.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// own writes what a process's directory and its first thread's both have.
func (s *system) own(pid int, name, text string) {
	s.t.Helper()
	for _, d := range []string{fmt.Sprintf("proc/%d/", pid), fmt.Sprintf("proc/%d/task/%d/", pid, pid)} {
		s.write(d+name, text)
	}
}

const plain, kernel, worker = 0x400000, 0x200000, 0x200020

func (s *system) task(pid, ppid int, state byte, flags, start int, wchan, call string) {
	s.own(pid, "stat", fmt.Sprintf("%d (t%d) %c %d 0 0 0 -1 %d 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, pid, state, ppid, flags, start))
	s.own(pid, "wchan", wchan)
	s.own(pid, "syscall", call)
	s.own(pid, "status", "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t1\n")
}

// thread adds one to a process.
func (s *system) thread(pid, tid int, call string) {
	d := fmt.Sprintf("proc/%d/", pid)
	b, err := os.ReadFile(filepath.Join(s.dir, d, "stat"))
	if err != nil {
		s.t.Fatal(err)
	}
	two := strings.Replace(string(b), " 20 0 1 0 ", " 20 0 2 0 ", 1)
	s.write(d+"stat", two)
	s.write(fmt.Sprintf("%stask/%d/stat", d, pid), two)
	d += fmt.Sprintf("task/%d/", tid)
	s.write(d+"stat", fmt.Sprint(tid)+two[strings.IndexByte(two, ' '):])
	s.write(d+"wchan", "do_wait")
	s.write(d+"syscall", call)
	s.write(d+"status", "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t1\n")
}

func (s *system) kthread(pid, flags int, wchan string, start int) {
	state := byte('S')
	if wchan != "" {
		state = 'D'
	}
	s.task(pid, 2, state, kernel|flags, start, wchan, "-1 0x0 0x0\n")
}

// comm gives a task another name than t and its number.
func (s *system) comm(pid int, name string) {
	s.t.Helper()
	for _, d := range []string{fmt.Sprintf("proc/%d/", pid), fmt.Sprintf("proc/%d/task/%d/", pid, pid)} {
		b, err := os.ReadFile(filepath.Join(s.dir, d, "stat"))
		if err != nil {
			s.t.Fatal(err)
		}
		text := string(b)
		s.write(d+"stat", text[:strings.IndexByte(text, '(')+1]+name+text[strings.LastIndexByte(text, ')'):])
	}
}

// finit is a call of finit_module on this architecture.
func (s *system) call(kind proc.Kind, args ...int) string {
	nr := map[string]map[proc.Kind]int{
		"amd64": {proc.FinitModule: 313, proc.WaitChild: 61, proc.WaitID: 247, proc.Sleep: 35},
		"arm64": {proc.FinitModule: 273, proc.WaitChild: 260, proc.WaitID: 95, proc.Sleep: 101},
		"arm":   {proc.FinitModule: 379, proc.WaitChild: 114, proc.WaitID: 280, proc.Sleep: 162},
	}[runtime.GOARCH][kind]
	if kind == proc.Other {
		nr = 1
	}
	args = append(args, 0, 0, 0, 0, 0, 0)
	sp := "0x7ffd00000000"
	if runtime.GOARCH == "arm" {
		sp = "0xbe000000"
	}
	line := fmt.Sprint(nr)
	for _, a := range args[:6] {
		line += fmt.Sprintf(" 0x%x", uint32(a))
	}
	return line + " " + sp + " 0x1000\n"
}

// load is a task inside finit_module.
func (s *system) load(pid, ppid, start int, module, wchan string) {
	state := byte('D')
	if wchan == "" {
		state = 'R'
	} else if observe.IsWait(wchan) {
		state = 'S'
	}
	s.task(pid, ppid, state, plain, start, wchan, s.call(proc.FinitModule, 3))
	s.write("ko/"+module+".ko", "not an image")
	link := filepath.Join(s.dir, fmt.Sprintf("proc/%d/fd/3", pid))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(s.dir, "ko", module+".ko"), link); err != nil {
		s.t.Fatal(err)
	}
}

// helper is a process of the kernel's below a worker of its own.
func (s *system) helperOf(pid int) int {
	w := pid + 10000
	s.kthread(w, worker&^kernel, "", 1)
	return w
}

// waits is a safeload that waits in user space for a module.
func (s *system) waits(pid, ppid, start int, module string) {
	s.task(pid, ppid, 'S', plain, start, "hrtimer_nanosleep", s.call(proc.Sleep))
	s.entries = append(s.entries, registry.Entry{PID: pid, Start: uint64(start), State: registry.StateWait, Module: module, Since: int64(start) * clock.Tick, Token: registry.NewToken()})
}

// commands is a safeload that waits for a command.
func (s *system) commands(pid, ppid, start int) (token string) {
	s.task(pid, ppid, 'S', plain, start, "do_wait", s.call(proc.WaitChild, -1))
	e := registry.Entry{PID: pid, Start: uint64(start), State: registry.StateCommand, Since: int64(start) * clock.Tick, Token: registry.NewToken()}
	s.entries = append(s.entries, e)
	return e.Token
}

// shoots looks, lets f happen, and looks again.
func (s *system) shoots(f func()) (before, now *observe.Waits) {
	s.t.Helper()
	p, sys := s.open()
	s.t.Cleanup(p.Close)
	s.t.Cleanup(sys.Close)
	eyes := &observe.Observer{Proc: p, Sys: sys, Bold: s.bold, BootAhead: s.ahead}
	before = eyes.Look(s.entries, true)
	before.System(observe.Patient, nil)
	f()
	return before, eyes.Look(s.entries, true)
}

func TestPollingCommand(t *testing.T) {
	for name, poll := range map[string]bool{"many short sleeps": true, "one long sleep": false} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			token := s.commands(150, s.helperOf(150), 505)
			s.task(151, 150, 'S', plain, 506, "do_wait", s.call(proc.WaitChild, -1))
			s.task(152, 151, 'S', plain, 507, "hrtimer_nanosleep", s.call(proc.Sleep))
			s.waits(200, 1, 510, "a")
			s.entries[1].Parent = token
			before, now := s.shoots(func() {
				if poll {
					if err := os.RemoveAll(filepath.Join(s.dir, "proc/152")); err != nil {
						t.Fatal(err)
					}
					s.task(153, 151, 'S', plain, 520, "hrtimer_nanosleep", s.call(proc.Sleep))
				}
			})
			if got := len(now.System(observe.Patient, before).Stuck(graph.Likely).Knot(200)) > 0; got != poll {
				t.Errorf("in a circle when read patiently: %v, want %v", got, poll)
			}
			if len(now.System(observe.Best, before).Stuck(graph.Likely).Knot(200)) > 0 {
				t.Error("in a circle when read as usual")
			}
		})
	}
}

func (s *system) coming(modules ...string) {
	for _, m := range modules {
		s.write("sys/module/"+m+"/initstate", "coming\n")
	}
}

const request = "call_usermodehelper_exec"

// judge says what the waiter self would be told after two equal looks, and
// whether the suspicion counts too.
func (s *system) judge(self int, probe observe.Ancestry) (proven, suspected bool) {
	s.t.Helper()
	p, sys := s.open()
	defer p.Close()
	defer sys.Close()
	eyes := &observe.Observer{Proc: p, Sys: sys, Probe: probe, Bold: s.bold, BootAhead: s.ahead}
	before := eyes.Look(s.entries, true)
	now := eyes.Look(s.entries, true)
	proof := now.System(observe.Exact, before).Stuck(graph.Certain)
	guess := now.System(observe.Best, before).Stuck(graph.Likely)
	id := graph.ID(self)
	holds := func(st *graph.Stuck, suspected bool) bool {
		return len(st.Knot(id)) > 0 && now.Picture(st.Reach(id)) != "" && victim(now, st, guess, id, suspected)
	}
	return holds(proof, false), holds(guess, true)
}

type verdict struct{ proven, suspected bool }

func TestVerdicts(t *testing.T) {
	const flush = "__flush_work"
	for name, tt := range map[string]struct {
		make  func(s *system)
		want  map[int]verdict // by waiter
		probe observe.Ancestry
	}{
		"asks for itself": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {true, true}}},
		"slow init, asked for from elsewhere": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", "msleep")
			s.task(300, 50, 'D', plain, 400, request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {}}},
		"running init": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", "")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {}}},
		"helper older than the load": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.waits(200, s.helperOf(200), 490, "a")
		}, want: map[int]verdict{200: {}}},
		"helper older than the load of an older process": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.entries = append(s.entries, registry.Entry{PID: 100, Start: 500, State: registry.StateLoad, Module: "a", Since: 600 * clock.Tick, Token: registry.NewToken()})
			s.waits(200, s.helperOf(200), 550, "a")
		}, want: map[int]verdict{200: {}}},
		"the helper above the load is not its own": {make: func(s *system) {
			s.coming("a")
			s.task(150, s.helperOf(150), 'R', plain, 490, "", "running\n")
			s.load(151, 150, 500, "a", request)
			s.task(300, 50, 'D', plain, 400, request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {true, true}}},
		"helper that nobody waits for (UMH_NO_WAIT)": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.waits(200, 2, 510, "a")
		}, want: map[int]verdict{200: {}}},
		"started by a user": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.waits(200, 50, 510, "a")
		}, want: map[int]verdict{200: {}}},
		"its helper is another, at work": {make: func(s *system) {
			s.coming("a", "b")
			s.load(100, 50, 500, "a", request)
			s.load(150, s.helperOf(150), 505, "b", "msleep")
			s.task(300, 50, 'D', plain, 400, request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {}}},
		"more requesters than helpers": {make: func(s *system) {
			// 300's helper is not among those seen, or it waits for another
			// thing: then perhaps so does 100.
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.task(300, 50, 'D', plain, 400, request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {false, true}}},
		"two hops, the last one closes": {make: func(s *system) {
			s.coming("a", "b")
			s.load(100, 50, 500, "a", request)
			s.load(150, s.helperOf(150), 505, "b", request)
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {true, true}}},
		"crossing": {make: func(s *system) {
			s.coming("a", "b")
			s.load(100, 50, 500, "a", request)
			s.load(110, 50, 500, "b", request)
			s.waits(200, s.helperOf(200), 510, "b")
			s.waits(210, s.helperOf(210), 511, "a")
		}, want: map[int]verdict{200: {}, 210: {true, true}}},
		"crossing, one of them kmod's": {make: func(s *system) {
			s.coming("a", "b")
			s.load(100, 50, 500, "a", request)
			s.load(110, 50, 500, "b", request)
			s.load(200, s.helperOf(200), 512, "b", "sys_finit_module")
			s.waits(210, s.helperOf(210), 511, "a")
		}, want: map[int]verdict{210: {true, true}}},
		"through a kernel thread": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", "a_init")
			s.kthread(120, 0, request, 505)
			s.comm(120, "a")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {false, true}}},
		"a kernel thread older than the load": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", "a_init")
			s.kthread(120, 0, request, 400)
			s.comm(120, "a")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {}}},
		"a kernel thread, but init sleeps for a time": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", "msleep")
			s.kthread(120, 0, request, 505)
			s.comm(120, "a")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {}}},
		"through a work item": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", flush)
			s.kthread(120, worker&^kernel, request, 5)
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {false, true}}},
		"a worker asks, but init flushes nothing": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", "a_init")
			s.kthread(120, worker&^kernel, request, 5)
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {}}},
		"through a command and a shell": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.task(150, s.helperOf(150), 'S', plain, 505, "do_wait", s.call(proc.WaitChild, 151))
			s.task(151, 150, 'S', plain, 506, "do_wait", s.call(proc.WaitChild, -1))
			s.waits(200, 151, 510, "a")
		}, want: map[int]verdict{200: {true, true}}},
		"a child that is merely alive": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.task(150, s.helperOf(150), 'S', plain, 505, "do_wait", s.call(proc.WaitChild, -1))
			s.task(152, 150, 'S', plain, 506, "hrtimer_nanosleep", s.call(proc.Sleep))
			s.waits(200, 150, 510, "a")
		}, want: map[int]verdict{200: {}}},
		"below a shell that sleeps in sigsuspend": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.commands(150, s.helperOf(150), 505)
			s.task(151, 150, 'S', plain, 506, "sigsuspend", s.call(proc.Other))
			s.waits(200, 151, 510, "a")
		}, want: map[int]verdict{200: {false, true}}},
		"a daemon of a command that reads from it": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			token := s.commands(150, s.helperOf(150), 505)
			s.task(151, 150, 'S', plain, 506, "pipe_read", s.call(proc.Other))
			s.waits(200, 1, 510, "a")
			s.entries[1].Parent = token
		}, want: map[int]verdict{200: {false, true}}},
		"a daemon of a command that sleeps": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			token := s.commands(150, s.helperOf(150), 505)
			s.task(151, 150, 'S', plain, 506, "hrtimer_nanosleep", s.call(proc.Sleep))
			s.waits(200, 1, 510, "a")
			s.entries[1].Parent = token
		}, want: map[int]verdict{200: {}}},
		"bystanders wait on": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.waits(200, s.helperOf(200), 510, "a")
			s.waits(210, 50, 520, "a")
			s.waits(220, 50, 530, "a")
		}, want: map[int]verdict{200: {true, true}, 210: {}, 220: {}}},
		"the probe tells a kernel request from another": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", request)
			s.task(300, 50, 'D', plain, 400, request, "1 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd00000000 0x0\n")
			s.waits(200, s.helperOf(200), 510, "a")
			s.waits(210, s.helperOf(210), 511, "a")
		}, want: map[int]verdict{200: {true, true}, 210: {}}, probe: fakeProbe{asked: map[int]int{200: 100, 210: 300}}},
		"the probe clears the one /proc would suspect": {make: func(s *system) {
			s.coming("a")
			s.load(100, 50, 500, "a", "a_init")
			s.kthread(120, 0, request, 505)
			s.comm(120, "a")
			s.waits(200, s.helperOf(200), 510, "a")
		}, want: map[int]verdict{200: {}}, probe: fakeProbe{asked: map[int]int{200: 120}, acts: map[int]int{120: 999}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			tt.make(s)
			for self, want := range tt.want {
				proven, suspected := s.judge(self, tt.probe)
				if proven != want.proven || suspected != want.suspected {
					t.Errorf("waiter %d: proven %v, suspected %v; want %v, %v", self, proven, suspected, want.proven, want.suspected)
				}
			}
		})
	}
}

// What only seems to be in finit_module, a task of anybody's that is held
// before the call, runs no init.
func TestWithoutTheRight(t *testing.T) {
	s := newSystem(t)
	s.coming("a")
	s.load(100, 50, 500, "a", request)
	s.waits(200, s.helperOf(200), 510, "a")
	s.load(300, 50, 520, "a", "seccomp_do_user_notification")
	s.own(300, "status", "CapEff:\t0000000000000000\nvoluntary_ctxt_switches:\t5\n")
	if proven, _ := s.judge(200, nil); !proven {
		t.Error("a task that cannot load keeps a circle from being seen")
	}
}

// Whoever may not load is not asked for his call, which may take for ever, but
// for the shells above a load.
func TestOthersCalls(t *testing.T) {
	s := newSystem(t)
	s.coming("a")
	none := "CapEff:\t0000000000000000\nvoluntary_ctxt_switches:\t5\n"
	s.task(60, 1, 'S', plain, 490, "do_wait", s.call(proc.WaitChild))
	s.own(60, "status", none)
	s.task(61, 60, 'S', plain, 491, "do_wait", s.call(proc.WaitChild))
	s.load(100, 61, 500, "a", "msleep")
	s.task(300, 1, 'S', plain, 510, "do_wait", s.call(proc.WaitChild))
	s.own(300, "status", none)
	s.task(310, 1, 'D', plain, 510, request, s.call(proc.Other))
	s.own(310, "status", none)
	p, sys := s.open()
	got := (&observe.Observer{Proc: p, Sys: sys}).Look(nil, true)
	for pid, kind := range map[int]proc.Kind{60: proc.WaitChild, 61: proc.WaitChild, 100: proc.FinitModule, 300: proc.Other} {
		if k := got.Tasks[pid].Kind; k != kind {
			t.Errorf("task %d: call %v, want %v", pid, k, kind)
		}
	}
	if !got.Tasks[310].Requester() {
		t.Error("a request of a user's is not seen")
	}
	// Nor for his arguments, not even of those shells, nor when he is idle.
	s.task(320, 1, 'S', plain, 510, "ep_poll", s.call(proc.Other))
	s.own(320, "status", none)
	got = (&observe.Observer{Proc: p, Sys: sys}).Look(nil, true)
	for pid, want := range map[int]string{100: "modprobe a", 60: "", 310: "", 320: ""} {
		s.own(pid, "cmdline", "modprobe\x00a\x00")
		if c := seenOf(got, got.Tasks[pid]).Command; c != want {
			t.Errorf("task %d: arguments %q, want %q", pid, c, want)
		}
	}
}

// The init of a safeload's load may sleep again and again, as anybody's.
func TestLoadOfOursMoves(t *testing.T) {
	for _, moves := range []bool{false, true} {
		s := newSystem(t)
		s.coming("a")
		s.load(100, 50, 500, "a", "a_init")
		s.entries = append(s.entries, registry.Entry{PID: 100, Start: 500, State: registry.StateLoad, Module: "a", Since: 500 * clock.Tick, Token: registry.NewToken()})
		s.kthread(120, 0, request, 505)
		s.comm(120, "a")
		s.waits(200, s.helperOf(200), 510, "a")
		id := graph.ID(200)
		picture := func(s *observe.Waits, before *observe.Waits) string {
			st := s.System(observe.Best, before).Stuck(graph.Likely)
			if len(st.Knot(id)) == 0 {
				t.Fatal("not in a circle")
			}
			return s.Picture(st.Reach(id))
		}
		var first string
		before, now := s.shoots(func() {})
		first = picture(before, nil)
		if moves {
			s.own(100, "status", "voluntary_ctxt_switches:\t6\nnonvoluntary_ctxt_switches:\t1\n")
		}
		if got := picture(now, before) != first; got != moves {
			t.Errorf("the init has run: %v, and its picture has changed: %v", moves, got)
		}
	}
}

type fakeProbe struct {
	asked, acts map[int]int
}

func (f fakeProbe) Requester(pid int) (int, bool) { t, ok := f.asked[pid]; return t, ok }
func (f fakeProbe) StartedBy(tid int) (int, bool) { t, ok := f.acts[tid]; return t, ok }
