// SPDX-License-Identifier: Apache-2.0

package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMakeThreads: threads can be made, and none is left.
func TestMakeThreads(t *testing.T) {
	for range 100 {
		if errno := makeThreads(threadsFirst); errno != 0 {
			t.Fatalf("errno %d", errno)
		}
	}
}

const (
	spareVariable = "PROC_TEST_SPARE_THREADS"
	dirVariable   = "PROC_TEST_DIR"
	noUser        = 61_234 // has no other process, so that its limit is this one's
)

// TestFewThreads: where the system gives no more threads, Go ends the process that
// wants one. A look lives, however many there are to be had.
func TestFewThreads(t *testing.T) {
	if v := os.Getenv(spareVariable); v != "" {
		lookWithFewThreads(t, v)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can become a user that has no other process")
	}
	r := newRecorded(t) // here, for another user may not remove it
	r.process(10, 0, allCaps, text)
	if err := os.Chmod(filepath.Dir(r.dir), 0o711); err != nil {
		t.Fatal(err)
	}
	whole := 0
	for spare := range 8 {
		c := exec.Command("/proc/self/exe", "-test.run=^TestFewThreads$", "-test.v")
		c.Env = append(os.Environ(), spareVariable+"="+strconv.Itoa(spare), dirVariable+"="+r.dir, "GOMAXPROCS=1")
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("with %d threads to be had: %v\n%.600s", spare, err, out)
		}
		if strings.Contains(string(out), "asked all") {
			if whole++; spare == 0 {
				t.Error("with no thread to be had: asked all")
			}
		} else if !strings.Contains(string(out), "asked the kernel's") {
			t.Errorf("with %d threads to be had: no look\n%.600s", spare, out)
		}
	}
	if whole == 0 {
		t.Error("none asked all")
	}
}

func lookWithFewThreads(t *testing.T, v string) {
	spare, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := OpenDir(os.Getenv(dirVariable))
	if err != nil {
		t.Fatal(err)
	}
	defer recorded.Close()
	if err := syscall.Setuid(noUser); err != nil {
		t.Fatal(err)
	}
	p, err := OpenProc()
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Outline(os.Getpid(), os.Getpid())
	p.Close()
	if err != nil {
		t.Fatal(err)
	}
	limit := uint64(o.Threads + spare)
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		t.Fatal(err)
	}
	if spare == 0 && makeThreads(1) != uintptr(unix.EAGAIN) {
		t.Error("a thread more than there may be was made")
	}
	looks, asked := 0, true
	for range 5 {
		recorded.Bounded(func(p *FS) {
			looks++
			asked = p.Ask(10, runtime.Gosched) && asked
		})
	}
	if looks < 5 { // more, where one took so long that it was begun anew
		t.Errorf("%d looks", looks)
	}
	if asked {
		t.Log("asked all")
	} else {
		t.Log("asked the kernel's")
	}
}
