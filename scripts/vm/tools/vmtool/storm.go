// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

func init() {
	tools["storm"] = storm
	tools["kills"] = kills
}

// storm makes innocent company: in each round many processes ask at once for one slow module, ten for each
// of ten more, and the kernel itself for some of them. Every one must end with 0 and say nothing.
//
//	vmtool storm -modprobe FILE -want N -until FILE -limit SECONDS -slow N -each N
//
// The rounds go on until there were N loads and the file FILE exists: who runs something else meanwhile makes it
// once that was done often enough, however fast the machine is.
//
// It uses slreq_o0 (fifty at once, or -slow), slreq_q0 to slreq_q9 (ten each, or -each; the kernel asks for fs-storm-0 to
// -9, which are aliases of them).
func storm(args []string) int {
	fs := flag.NewFlagSet("storm", flag.ContinueOnError)
	modprobe := fs.String("modprobe", "/safe/modprobe", "the program to run")
	want := fs.Int("want", 5000, "loads to ask for, at least")
	until := fs.String("until", "", "go on until this file exists")
	limit := fs.Int("limit", 600, "seconds after which to stop short")
	slow := fs.Int("slow", 50, "how many ask for the slow module at once")
	each := fs.Int("each", 10, "how many ask for each of the others")
	if fs.Parse(args) != nil {
		return 2
	}
	t := tally{modprobe: *modprobe}
	start := time.Now()
	rounds := 0
	enough := func() bool { return t.loads >= *want && (*until == "" || exists(*until)) }
	for ; !enough() && time.Since(start) < time.Duration(*limit)*time.Second; rounds++ {
		var all sync.WaitGroup
		for range *slow {
			all.Go(func() { t.load("slreq_o0") })
		}
		for i := range 10 {
			for range *each {
				all.Go(func() { t.load(fmt.Sprintf("slreq_q%d", i)) })
			}
			all.Go(func() { t.byKernel(i) })
		}
		all.Wait()
		for _, m := range stormModules() {
			if state := initstate(m); state != "live" {
				t.fail("round %d: %s is %s", rounds, m, state)
			}
			if err := unix.DeleteModule(m, unix.O_NONBLOCK); err != nil {
				t.fail("round %d: unload %s: %v", rounds, m, err)
			}
		}
	}
	fmt.Printf("loads %d by-kernel %d rounds %d failed %d seconds %.0f\n", t.loads, t.kernel, rounds, t.failed, time.Since(start).Seconds())
	if t.failed > 0 || !enough() {
		return 1
	}
	return 0
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func stormModules() []string {
	names := []string{"slreq_o0"}
	for i := range 10 {
		names = append(names, fmt.Sprintf("slreq_q%d", i))
	}
	return names
}

type tally struct {
	modprobe string

	mu                    sync.Mutex
	loads, kernel, failed int
}

func (t *tally) fail(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed++; t.failed <= 20 {
		fmt.Printf(format+"\n", args...)
	}
}

func (t *tally) load(name string) {
	out, err := exec.Command(t.modprobe, name).CombinedOutput()
	t.mu.Lock()
	t.loads++
	t.mu.Unlock()
	if err != nil || len(out) > 0 {
		t.fail("modprobe %s: %v: %s", name, err, bytes.TrimSpace(out))
	}
}

// byKernel has the kernel run its helper for a module: get_fs_type asks for fs-NAME. That there is no such file
// system in it does not matter.
func (t *tally) byKernel(i int) {
	err := unix.Mount("none", "/", fmt.Sprintf("storm-%d", i), 0, "")
	if !errors.Is(err, unix.ENODEV) {
		t.fail("mount -t storm-%d: %v, not ENODEV", i, err)
	}
	if state := initstate(fmt.Sprintf("slreq_q%d", i)); state != "live" {
		t.fail("after the kernel's request slreq_q%d is %s", i, state)
	}
	t.mu.Lock()
	t.kernel++
	t.mu.Unlock()
}

func initstate(module string) string {
	b, err := os.ReadFile("/sys/module/" + module + "/initstate")
	if err != nil {
		return "absent"
	}
	return strings.TrimSpace(string(b))
}

// kills ends one of several loads of the same module at a random moment, with SIGKILL, and wants every other
// one to end well, and the next load to be right.
//
//	vmtool kills -modprobe FILE -rounds N -limit SECONDS
//
// It uses slreq_v0, whose init must take about 150 ms, and slreq_v1, which asks for itself.
func kills(args []string) int {
	fs := flag.NewFlagSet("kills", flag.ContinueOnError)
	modprobe := fs.String("modprobe", "/safe/modprobe", "the program to run")
	rounds := fs.Int("rounds", 300, "kills to do")
	limit := fs.Int("limit", 600, "seconds after which to stop short")
	if fs.Parse(args) != nil {
		return 2
	}
	start := time.Now()
	done, failed := 0, 0
	fail := func(format string, args ...any) {
		if failed++; failed <= 20 {
			fmt.Printf(format+"\n", args...)
		}
	}
	for ; done < *rounds && time.Since(start) < time.Duration(*limit)*time.Second; done++ {
		module := "slreq_v0"
		if done%4 == 3 {
			module = "slreq_v1"
		}
		var cmds [4]*exec.Cmd
		var outs [4]bytes.Buffer
		for i := range cmds {
			cmds[i] = exec.Command(*modprobe, module)
			cmds[i].Stdout, cmds[i].Stderr = &outs[i], &outs[i]
			if err := cmds[i].Start(); err != nil {
				return fatal("kills: %v", err)
			}
		}
		victim := rand.IntN(len(cmds))
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		cmds[victim].Process.Kill()
		for i, c := range cmds {
			// The loads of others that waited for the killed one's load get its end, as with kmod: the module
			// may be gone, but nobody may hang, and nobody may be refused who was innocent.
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			select {
			case <-ended:
			case <-time.After(40 * time.Second):
				fail("round %d: load %d of %s hangs after %d was killed", done, i, module, victim)
				c.Process.Kill()
				<-ended
			}
			if module == "slreq_v0" && strings.Contains(outs[i].String(), "refused") {
				fail("round %d: an innocent load was refused: %s", done, bytes.TrimSpace(outs[i].Bytes()))
			}
		}
		// The helper that the kernel started for slreq_v1 may outlive the killed one.
		var out []byte
		var err error
		for range 50 {
			if out, err = exec.Command(*modprobe, module).CombinedOutput(); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if state := initstate(module); err != nil || state != "live" {
			fail("round %d: the next load of %s: %v: %s; it is %s", done, module, err, bytes.TrimSpace(out), state)
		}
		if err := unix.DeleteModule(module, unix.O_NONBLOCK); err != nil {
			fail("round %d: unload %s: %v", done, module, err)
		}
	}
	fmt.Printf("kills %d failed %d seconds %.0f\n", done, failed, time.Since(start).Seconds())
	if failed > 0 || done < *rounds {
		return 1
	}
	return 0
}
