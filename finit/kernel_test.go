// SPDX-License-Identifier: Apache-2.0

//go:build vmtest

package finit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These run in a guest of scripts/vm-test.sh (case finit), whose module slreq
// has copies slreq_f0 and slreq_f1: init sleeps delay_ms and fails with fail.

func init() {
	if path := os.Getenv("FINIT_TEST_LOAD"); path != "" {
		fmt.Println("loading")
		fmt.Println(new(Loader).Load(path, "child", "", 0))
		os.Exit(0)
	}
}

func testModule(t *testing.T, name string) string {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:]))
	var found string
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(filepath.Base(path), name+".ko") {
			found = path
		}
		return nil
	})
	if found == "" {
		t.Fatalf("no %s.ko below %s", name, dir)
	}
	t.Cleanup(func() { _ = Unload(name, NonBlock) })
	return found
}

func waitForState(t *testing.T, name, want string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		b, _ := os.ReadFile("/sys/module/" + name + "/initstate")
		if strings.TrimSpace(string(b)) == want {
			return
		}
	}
	t.Fatalf("%s never became %s", name, want)
}

func TestKernelLoad(t *testing.T) {
	path := testModule(t, "slreq_f0")
	if err := new(Loader).Load(path, "slreq_f0", "delay_ms=1", 0); err != nil {
		t.Fatal(err)
	}
	if err := new(Loader).Load(path, "slreq_f0", "", 0); !errors.Is(err, unix.EEXIST) {
		t.Errorf("loaded twice: %v, want EEXIST", err)
	}
	if err := Unload("slreq_f0", NonBlock); err != nil {
		t.Fatal(err)
	}
	if err := Unload("slreq_f0", NonBlock); !errors.Is(err, unix.ENOENT) {
		t.Errorf("unloaded twice: %v, want ENOENT", err)
	}
	err := new(Loader).Load(path, "slreq_f0", "fail=19", 0)
	if !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "finit_module slreq_f0 (") {
		t.Errorf("init returned ENODEV: %v", err)
	}
	junk := filepath.Join(t.TempDir(), "junk.ko")
	if err := os.WriteFile(junk, []byte("\x7fELF and nothing else, but long enough to be read as a header"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := new(Loader).Load(junk, "junk", "", 0); !errors.Is(err, unix.ENOEXEC) {
		t.Errorf("not a module: %v, want ENOEXEC", err)
	}
}

// The Go runtime's own signal must not end a wait: neither the one for the
// same file nor, for a copy of it, the one for the same name.
func TestKernelWaitSurvivesPreemption(t *testing.T) {
	path := testModule(t, "slreq_f0")
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "slreq_f0.ko")
	if err := os.WriteFile(other, image, 0o600); err != nil {
		t.Fatal(err)
	}
	owner := make(chan error, 1)
	go func() { owner <- new(Loader).Load(path, "slreq_f0", "delay_ms=4000", 0) }()
	waitForState(t, "slreq_f0", "coming")
	waiters := make(chan error, 2)
	go func() { waiters <- new(Loader).Load(path, "slreq_f0", "", 0) }()
	go func() { waiters <- new(Loader).Load(other, "slreq_f0", "", 0) }()

	stop, sent := make(chan bool), 0
	go func() {
		defer close(stop)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			tasks, _ := os.ReadDir("/proc/self/task")
			for _, task := range tasks {
				if tid, err := strconv.Atoi(task.Name()); err == nil &&
					unix.Tgkill(os.Getpid(), tid, unix.SIGURG) == nil {
					sent++
				}
			}
		}
	}()
	// Same file: the kernel since 6.5 gives both callers the one result.
	for range 2 {
		if err := <-waiters; err != nil && !errors.Is(err, unix.EEXIST) {
			t.Errorf("a waiter ends with %v, want nothing or EEXIST", err)
		}
	}
	stop <- true
	<-stop
	if err := <-owner; err != nil {
		t.Errorf("the load itself: %v", err)
	}
	if sent < 100 {
		t.Errorf("only %d signals sent: this shows nothing", sent)
	}
	t.Logf("%d signals sent", sent)
}

// SIGTERM and SIGINT end a process that waits in the kernel, as they end kmod.
func TestKernelWaitEndsOnSignal(t *testing.T) {
	path := testModule(t, "slreq_f1")
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		owner := make(chan error, 1)
		go func() { owner <- new(Loader).Load(path, "slreq_f1", "delay_ms=8000", 0) }()
		waitForState(t, "slreq_f1", "coming")
		cmd, _ := startChild(t, "FINIT_TEST_LOAD="+path, s)
		waitForWaiter(t, cmd.Process.Pid)
		_ = cmd.Process.Signal(s)
		_ = cmd.Wait()
		select {
		case <-owner:
			t.Error("the load ended before the waiter: this shows nothing")
			owner <- nil
		default:
		}
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != s {
			t.Errorf("after %v: %v", s, cmd.ProcessState)
		}
		if err := <-owner; err != nil {
			t.Errorf("the load itself: %v", err)
		}
		if err := Unload("slreq_f1", NonBlock); err != nil {
			t.Fatal(err)
		}
	}
}

// waitForWaiter waits until a thread of the process is in finit_module.
func waitForWaiter(t *testing.T, pid int) {
	t.Helper()
	number := strconv.Itoa(unix.SYS_FINIT_MODULE) + " "
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		calls, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/syscall")
		for _, file := range calls {
			if b, _ := os.ReadFile(file); strings.HasPrefix(string(b), number) {
				return
			}
		}
	}
	t.Fatalf("process %d never came to finit_module", pid)
}
