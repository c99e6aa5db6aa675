// SPDX-License-Identifier: Apache-2.0

// Package observetest is made-up machines for tests of what looks at tasks.
package observetest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"safeload/internal/clock"
	"safeload/internal/observe"
	"safeload/internal/proc"
	"safeload/internal/registry"
	"strings"
	"testing"
)

// Machine is a made-up machine: a /proc and a /sys of plain files.
type Machine struct {
	T         testing.TB
	Dir       string // has proc and sys in it
	Entries   []registry.Entry
	Bold      bool // the settings are
	BootAhead *int64
}

func New(t testing.TB) *Machine {
	s := &Machine{T: t, Dir: t.TempDir()}
	for _, d := range []string{"proc", "sys/module", "ko"} {
		if err := os.MkdirAll(filepath.Join(s.Dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.AddKthread(2, 0, "", 0) // kthreadd
	return s
}

// Open opens both; the caller closes them.
func (s *Machine) Open() (p, sys *proc.FS) {
	s.T.Helper()
	p, err := proc.OpenDir(filepath.Join(s.Dir, "proc"))
	if err != nil {
		s.T.Fatal(err)
	}
	if sys, err = proc.OpenDir(filepath.Join(s.Dir, "sys")); err != nil {
		s.T.Fatal(err)
	}
	return p, sys
}

func (s *Machine) Write(path, text string) {
	s.T.Helper()
	path = filepath.Join(s.Dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.T.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.T.Fatal(err)
	}
}

// WriteTask writes what a process's directory and its first thread's both have.
func (s *Machine) WriteTask(pid int, name, text string) {
	s.T.Helper()
	for _, d := range []string{fmt.Sprintf("proc/%d/", pid), fmt.Sprintf("proc/%d/task/%d/", pid, pid)} {
		s.Write(d+name, text)
	}
}

// Flags of a task in /proc: of a program, a kernel thread, a workqueue worker.
const Plain, Kernel, Worker = 0x400000, 0x200000, 0x200020

func (s *Machine) AddTask(pid, ppid int, state byte, flags, start int, wchan, call string) {
	s.WriteTask(pid, "stat", fmt.Sprintf("%d (t%d) %c %d 0 0 0 -1 %d 0 0 0 0 0 0 0 0 20 0 1 0 %d 0 0\n", pid, pid, state, ppid, flags, start))
	s.WriteTask(pid, "wchan", wchan)
	s.WriteTask(pid, "syscall", call)
	s.WriteTask(pid, "status", "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t1\n")
}

// Remove takes a process away.
func (s *Machine) Remove(pid int) {
	s.T.Helper()
	if err := os.RemoveAll(filepath.Join(s.Dir, "proc", fmt.Sprint(pid))); err != nil {
		s.T.Fatal(err)
	}
}

// AddThread adds one to a process.
func (s *Machine) AddThread(pid, tid int, call string) {
	d := fmt.Sprintf("proc/%d/", pid)
	b, err := os.ReadFile(filepath.Join(s.Dir, d, "stat"))
	if err != nil {
		s.T.Fatal(err)
	}
	two := strings.Replace(string(b), " 20 0 1 0 ", " 20 0 2 0 ", 1)
	s.Write(d+"stat", two)
	s.Write(fmt.Sprintf("%stask/%d/stat", d, pid), two)
	d += fmt.Sprintf("task/%d/", tid)
	s.Write(d+"stat", fmt.Sprint(tid)+two[strings.IndexByte(two, ' '):])
	s.Write(d+"wchan", "do_wait")
	s.Write(d+"syscall", call)
	s.Write(d+"status", "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t1\n")
}

func (s *Machine) AddKthread(pid, flags int, wchan string, start int) {
	state := byte('S')
	if wchan != "" {
		state = 'D'
	}
	s.AddTask(pid, 2, state, Kernel|flags, start, wchan, "-1 0x0 0x0\n")
}

// SetComm gives a task another name than t and its number.
func (s *Machine) SetComm(pid int, name string) {
	s.T.Helper()
	for _, d := range []string{fmt.Sprintf("proc/%d/", pid), fmt.Sprintf("proc/%d/task/%d/", pid, pid)} {
		b, err := os.ReadFile(filepath.Join(s.Dir, d, "stat"))
		if err != nil {
			s.T.Fatal(err)
		}
		text := string(b)
		s.Write(d+"stat", text[:strings.IndexByte(text, '(')+1]+name+text[strings.LastIndexByte(text, ')'):])
	}
}

// finit is a call of finit_module on this architecture.
func (s *Machine) Call(kind proc.Kind, args ...int) string {
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

// AddLoad is a task inside finit_module.
func (s *Machine) AddLoad(pid, ppid, start int, module, wchan string) {
	state := byte('D')
	if wchan == "" {
		state = 'R'
	} else if observe.IsWait(wchan) {
		state = 'S'
	}
	s.AddTask(pid, ppid, state, Plain, start, wchan, s.Call(proc.FinitModule, 3))
	s.Write("ko/"+module+".ko", "not an image")
	link := filepath.Join(s.Dir, fmt.Sprintf("proc/%d/fd/3", pid))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		s.T.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(s.Dir, "ko", module+".ko"), link); err != nil {
		s.T.Fatal(err)
	}
}

// HelperWorker is the worker that AddHelperWorker gives a helper.
func HelperWorker(pid int) int { return pid + 10000 }

// AddHelperWorker adds the worker of the kernel's below which a helper is.
func (s *Machine) AddHelperWorker(pid int) int {
	w := HelperWorker(pid)
	s.AddKthread(w, Worker&^Kernel, "", 1)
	return w
}

// AddWaiter is a safeload that waits in user space for a module.
func (s *Machine) AddWaiter(pid, ppid, start int, module string) {
	s.AddTask(pid, ppid, 'S', Plain, start, "hrtimer_nanosleep", s.Call(proc.Sleep))
	s.Entries = append(s.Entries, registry.Entry{PID: pid, Start: uint64(start), State: registry.StateWait, Module: module, Since: int64(start) * clock.Tick, Token: registry.NewToken()})
}

// AddCommand is a safeload that waits for a command.
func (s *Machine) AddCommand(pid, ppid, start int) (token string) {
	s.AddTask(pid, ppid, 'S', Plain, start, "do_wait", s.Call(proc.WaitChild, -1))
	e := registry.Entry{PID: pid, Start: uint64(start), State: registry.StateCommand, Since: int64(start) * clock.Tick, Token: registry.NewToken()}
	s.Entries = append(s.Entries, e)
	return e.Token
}

func (s *Machine) SetComing(modules ...string) {
	for _, m := range modules {
		s.Write("sys/module/"+m+"/initstate", "coming\n")
	}
}

// Request is where a task sleeps that waits for the helper it asked for.
const Request = "call_usermodehelper_exec"

// LastRan says when a task last ran, in milliseconds.
func (s *Machine) LastRan(ms float64, pids ...int) {
	for _, pid := range pids {
		s.WriteTask(pid, "sched", fmt.Sprintf("t%d (%d, #threads: 1)\nse.exec_start                 : %20.6f\n", pid, pid, ms))
	}
}

// NewOopsed is a machine in which m is coming, the kernel has oopsed, and nobody
// loads anything.
func NewOopsed(t testing.TB) *Machine {
	s := New(t)
	s.Write("proc/sys/kernel/tainted", "4224\n")
	s.Write("proc/sys/kernel/random/boot_id", "0f1e\n")
	s.Write("proc/self/mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n")
	if err := os.Symlink("/proc/self/fd", filepath.Join(s.Dir, "proc/self/fd")); err != nil {
		t.Fatal(err)
	}
	s.Write("proc/modules", "m 16384 1 - Loading 0x0\n")
	s.Write("sys/module/m/initstate", "coming\n")
	s.AddTask(1, 0, 'S', Plain, 1, "do_wait", s.Call(proc.WaitChild, -1))
	s.AddTask(50, 1, 'S', Plain, 50, "poll_schedule_timeout", s.Call(proc.Other))
	return s
}
