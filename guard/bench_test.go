// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"safeload/internal/clock"
	"safeload/internal/observe"
	"safeload/internal/proc"
)

// What a load pays that meets nobody: the read of initstate. Compare with the
// registry entry that is made only once the load is submitted.
func BenchmarkNothingComing(b *testing.B) {
	for b.Loop() {
		if proc.State("no_such_module") == proc.Coming {
			b.Fatal("it is coming")
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("only root publishes")
	}
	g := New(Options{Dir: b.TempDir() + "/run", Log: func(string) {}})
	defer g.Close()
	for b.Loop() {
		if err := g.Submit(Load{Module: "no_such_module"}, func() error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// One look at this machine's tasks, and the verdict's graph.
func BenchmarkLook(b *testing.B) {
	p, err := proc.OpenProc()
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	eyes := &observe.Observer{Proc: p}
	n := 0
	for b.Loop() {
		s := eyes.Look(nil, true)
		s.System(observe.Best, nil)
		n = len(s.Tasks)
	}
	b.ReportMetric(float64(n), "tasks")
}

// The same beside so many idle threads of one user's process, for 50 who wait. A
// look's CPU is what counts, and how long each rests before the next by it.
func BenchmarkLookThreads(b *testing.B) {
	for _, n := range []int{1, 1000, 8000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), "SAFELOAD_TEST_THREADS="+strconv.Itoa(n))
			cmd.Stderr = os.Stderr
			end, err := cmd.StdinPipe()
			if err != nil {
				b.Fatal(err)
			}
			ready, err := cmd.StdoutPipe()
			if err != nil {
				b.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			defer func() {
				end.Close()
				_ = cmd.Wait()
			}()
			if _, err := ready.Read(make([]byte, 1)); err != nil {
				b.Fatal(err)
			}
			p, err := proc.OpenProc()
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			eyes := &observe.Observer{}
			looks := 0
			before := clock.CPU()
			for b.Loop() {
				p.Bounded(func(p *proc.FS) {
					eyes.Proc = p
					eyes.Look(nil, true).System(observe.Best, nil)
				})
				looks++
			}
			cost := (clock.CPU() - before) / time.Duration(looks)
			b.ReportMetric(float64(cost.Microseconds()), "cpu-us/look")
			b.ReportMetric(rest(lookMost, cost, 50).Seconds(), "s-rest-of-50")
		})
	}
}

// idleThreads is the process of such a user. It ends with its standard input.
func idleThreads(n int) {
	_ = unix.Setresuid(65534, 65534, 65534) // as root: no longer so
	var begun sync.WaitGroup
	for range n {
		begun.Add(1)
		go func() {
			runtime.LockOSThread()
			begun.Done()
			for {
				_ = unix.Pause()
			}
		}()
	}
	begun.Wait()
	os.Stdout.WriteString("ready\n")
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}
