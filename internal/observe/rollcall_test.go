// SPDX-License-Identifier: Apache-2.0

package observe_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
)

// system is a made-up machine.
type system struct{ *observetest.Machine }

// newDead is a system whose module m nobody loads any more.
func newDead(t *testing.T) *system { return &system{observetest.NewOopsed(t)} }

// foreign is finit_module in the other table of this architecture.
func (s *system) foreign() string {
	nr := map[string]string{"amd64": "350", "arm64": "379", "arm": "273"}[runtime.GOARCH]
	return nr + strings.TrimLeft(s.Call(proc.FinitModule, 3), "0123456789")
}

// image is a module's file of which nothing but the name is there.
func image(name string) string {
	const header, section, this, nameAt = 64, 64, 512, 24
	names := "\x00.gnu.linkonce.this_module\x00.shstrtab\x00"
	b := make([]byte, this+256)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[16:], 1) // ET_REL
	le.PutUint64(b[40:], header)
	le.PutUint16(b[52:], header)
	le.PutUint16(b[58:], section)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2)
	sh := func(i, nameOff, kind int, off, size uint64) {
		h := b[header+i*section:]
		le.PutUint32(h, uint32(nameOff))
		le.PutUint32(h[4:], uint32(kind))
		le.PutUint64(h[24:], off)
		le.PutUint64(h[32:], size)
	}
	sh(1, 1, 1, this, 256)
	sh(2, 27, 3, 300, uint64(len(names)))
	copy(b[300:], names)
	copy(b[this+nameAt:], name)
	return string(b)
}

// executes is the status of a task with all capabilities that has no program.
func executes(uid int) string {
	u := proc.Itoa(uid)
	return "Name:\tx\nState:\tD (disk sleep)\nPPid:\t1\nUid:\t" + u + "\t" + u + "\t" + u + "\t" + u +
		"\nVmSize:\t9 kB\nVmExe:\t0 kB\nThreads:\t1\nCapEff:\tffffffffffffffff\n"
}

func (s *system) attend(change func()) observe.Attendance {
	p, sys := s.Open()
	defer p.Close()
	defer sys.Close()
	r := &observe.RollCall{Proc: p, Sys: sys, Module: "m"}
	a := r.Look()
	if change != nil {
		change()
		a = r.Look()
	}
	if a == observe.Nobody && r.Call() != observe.Nobody {
		s.T.Error("two looks say nobody, a call does not")
	}
	return a
}

func TestRollcall(t *testing.T) {
	for _, c := range []struct {
		name   string
		add    func(*system)
		change func(*system) // between two looks
		want   observe.Attendance
	}{
		{"nobody loads", func(*system) {}, nil, observe.Nobody},
		{"its init runs, by the file's name", func(s *system) { s.AddLoad(60, 1, 60, "m", "msleep") }, nil, observe.Unclear},
		{"its init runs, by the name in the file", func(s *system) {
			s.AddLoad(60, 1, 60, "m-current", "msleep")
			s.Write("ko/m-current.ko", image("m"))
		}, nil, observe.Present},
		{"another's init runs, by the name in the file", func(s *system) {
			s.AddLoad(60, 1, 60, "m", "msleep")
			s.Write("ko/m.ko", image("n"))
			s.Write("sys/module/n/initstate", "coming\n")
		}, nil, observe.Nobody},
		{"its init runs in a frozen group", func(s *system) {
			s.AddLoad(60, 1, 60, "m-current", "cgroup_freezer")
			s.Write("ko/m-current.ko", image("m"))
		}, nil, observe.Present},
		{"its init stands at a lock of the loader's", func(s *system) {
			s.AddLoad(60, 1, 60, "m", "load_module")
			s.WriteTask(60, "stat", "60 (t60) D 1 0 0 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 60 0 0\n")
		}, nil, observe.Unclear},
		{"it makes a call of the other table", func(s *system) {
			s.AddTask(60, 1, 'D', observetest.Plain, 60, "msleep", s.foreign())
		}, nil, observe.Unclear},
		{"it is on its way out", func(s *system) {
			s.AddTask(60, 1, 'D', observetest.Plain|4, 60, "exit_mm", s.Call(proc.FinitModule, 3))
		}, nil, observe.Nobody},
		{"younger than now", func(s *system) {
			s.AddTask(60, 1, 'R', observetest.Plain, 1<<30, "0", "running\n")
		}, nil, observe.Unclear},
		{"its init is on a processor", func(s *system) {
			s.AddTask(60, 1, 'R', observetest.Plain, 60, "0", "running\n")
		}, nil, observe.Unclear},
		{"another thread's init runs", func(s *system) {
			s.AddTask(60, 1, 'S', observetest.Plain, 60, "futex_do_wait", s.Call(proc.Other))
			s.AddLoad(61, 1, 61, "m", "msleep")
			call, _ := os.ReadFile(filepath.Join(s.Dir, "proc/61/syscall"))
			if err := os.RemoveAll(filepath.Join(s.Dir, "proc/61")); err != nil {
				s.T.Fatal(err)
			}
			s.AddThread(60, 61, string(call))
		}, nil, observe.Unclear}, // its file is not there: the name is not known
		{"a user's task is held in execve", func(s *system) {
			s.AddTask(60, 1, 'D', observetest.Plain, 60, "msleep", s.Call(proc.FinitModule, 3))
			s.WriteTask(60, "status", executes(1000))
		}, nil, observe.Nobody},
		{"a task of root's has no program that can be seen", func(s *system) {
			s.AddTask(60, 1, 'D', observetest.Plain, 60, "msleep", s.Call(proc.FinitModule, 3))
			s.WriteTask(60, "status", executes(0))
		}, nil, observe.Unclear},
		{"others wait for it in the kernel", func(s *system) { s.AddLoad(60, 1, 60, "m", "idempotent_init_module") }, nil, observe.Nobody},
		{"somebody loads what is not known", func(s *system) {
			s.AddTask(60, 1, 'D', observetest.Plain, 60, "msleep", s.Call(proc.FinitModule, 3))
		}, nil, observe.Unclear},
		{"an init runs of a file that cannot be read", func(s *system) {
			s.AddLoad(60, 1, 60, "n", "msleep")
			s.Write("sys/module/n/initstate", "coming\n")
		}, nil, observe.Unclear},
		{"who could not be asked is found outside later", func(s *system) {
			s.AddTask(60, 1, 'R', observetest.Plain, 60, "0", "running\n")
		}, func(s *system) { s.WriteTask(60, "syscall", s.Call(proc.Other)) }, observe.Nobody},
		{"who was outside cannot be asked later", func(*system) {}, func(s *system) { s.WriteTask(50, "syscall", "running\n") }, observe.Nobody},
		{"on a processor, but may not load", func(s *system) {
			s.AddTask(60, 1, 'R', observetest.Plain, 60, "0", "running\n")
			s.WriteTask(60, "status", "CapEff:\t0000000000000000\n")
		}, nil, observe.Nobody},
		{"a thread that the list lacks", func(s *system) {
			s.AddTask(60, 1, 'S', observetest.Plain, 60, "futex_do_wait", s.Call(proc.Other))
			s.AddThread(60, 61, s.Call(proc.Other))
			if err := os.RemoveAll(filepath.Join(s.Dir, "proc/60/task/61")); err != nil {
				s.T.Fatal(err)
			}
		}, nil, observe.Unclear},
		{"it went live meanwhile", func(*system) {}, func(s *system) { s.Write("sys/module/m/initstate", "live\n") }, observe.Present},
		{"another load of it meanwhile", func(*system) {}, func(s *system) {
			s.AddTask(50, 1, 'R', observetest.Plain, 50, "0", "running\n")
			old := filepath.Join(s.Dir, "sys/module/m")
			if err := os.Rename(old, old+".old"); err != nil {
				s.T.Fatal(err)
			}
			s.Write("sys/module/m/initstate", "coming\n")
		}, observe.Unclear},
		{"the first process is hidden", func(s *system) {
			if err := os.RemoveAll(filepath.Join(s.Dir, "proc/1")); err != nil {
				s.T.Fatal(err)
			}
		}, nil, observe.Unclear},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newDead(t)
			c.add(s)
			var change func()
			if c.change != nil {
				change = func() { c.change(s) }
			}
			if got := s.attend(change); got != c.want {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
}
