// SPDX-License-Identifier: Apache-2.0

//go:build vmtest

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain is also the tasks that the measurement needs beside it.
func TestMain(m *testing.M) {
	switch os.Getenv("SAFELOAD_TEST_TASK") {
	case "pin":
		loadAndDie(os.Getenv("SAFELOAD_TEST_AT"))
	case "key":
		askForKey()
	case "load":
		fd, err := unix.MemfdCreate("safeload-test", unix.MFD_CLOEXEC)
		if err != nil {
			os.Exit(1)
		}
		for {
			time.Sleep(40 * time.Millisecond)
			_ = unix.FinitModule(fd, "", 0) // refused, an empty file
		}
	case "pipe":
		for {
			time.Sleep(40 * time.Millisecond)
			if _, err := unix.Write(3, binary.LittleEndian.AppendUint64(nil, uint64(Now()))); err != nil {
				os.Exit(0)
			}
		}
	case "busy":
		for {
		}
	}
	os.Exit(m.Run())
}

func task(t *testing.T, what string, files ...*os.File) *exec.Cmd {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "SAFELOAD_TEST_TASK="+what)
	c.ExtraFiles = files
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

const measurements = 60

// How long an event takes to its reader, beside what a byte in a pipe takes to
// a program that sleeps in read(2): the one is the other and what we add.
func TestLatency(t *testing.T) {
	p, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -10) // as safeload watch
	for _, busy := range []int{0, 1, 4} {
		var load []*exec.Cmd
		for range busy {
			load = append(load, task(t, "busy"))
		}
		peer := pipeLatency(t)
		ours := eventLatency(t, p)
		t.Logf("%d busy tasks: to a reader of a pipe: %s; of the probe: %s; ratio of the medians %.2f",
			busy, spread(peer), spread(ours), float64(median(ours))/float64(median(peer)))
		for _, c := range load {
			c.Process.Kill()
			c.Wait()
		}
	}
}

func pipeLatency(t *testing.T) []time.Duration {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := task(t, "pipe", w)
	w.Close()
	defer func() { c.Process.Kill(); c.Wait() }()
	fd := int(r.Fd()) // blocking from here on
	var took []time.Duration
	var b [8]byte
	for range measurements {
		if n, err := unix.Read(fd, b[:]); err == unix.EINTR {
			continue
		} else if n != len(b) {
			t.Fatalf("read: %d, %v", n, err)
		}
		took = append(took, Now()-time.Duration(binary.LittleEndian.Uint64(b[:])))
	}
	return took
}

func eventLatency(t *testing.T, p *Probe) []time.Duration {
	c := task(t, "load")
	defer func() { c.Process.Kill(); c.Wait() }()
	var took []time.Duration
	for end := time.Now().Add(60 * time.Second); len(took) < measurements; {
		p.SetDeadline(end)
		e, err := p.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d events of %d in a minute", len(took), measurements)
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == LoadBegin && e.TGID == uint32(c.Process.Pid) {
			took = append(took, e.Read-e.At)
		}
	}
	return took
}

func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	return s[len(s)/2]
}

func spread(d []time.Duration) string {
	s := slices.Sorted(slices.Values(d))
	return fmt.Sprintf("median %v, 9 of 10 in %v, most %v", s[len(s)/2], s[len(s)*9/10], s[len(s)-1])
}
