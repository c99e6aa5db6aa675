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
	"unsafe"

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
	refusedVariable = "PROC_TEST_TRIAL_REFUSED"
	noFilter        = "no seccomp filter"
)

// TestRefusedTrial: qemu-user has EINVAL, and a sandbox may have EPERM, for a thread
// whose maker waits for it. That is no want of threads: a look asks all.
func TestRefusedTrial(t *testing.T) {
	if v := os.Getenv(refusedVariable); v != "" {
		lookWithoutTrial(t, v)
		return
	}
	dir := newRecorded(t)
	dir.process(10, 0, allCaps, text)
	for _, errno := range []syscall.Errno{unix.EINVAL, unix.EPERM, unix.ENOSYS} {
		c := exec.Command("/proc/self/exe", "-test.run=^TestRefusedTrial$", "-test.v")
		c.Env = append(os.Environ(), refusedVariable+"="+strconv.Itoa(int(errno)), dirVariable+"="+dir.dir)
		out, err := c.CombinedOutput()
		if strings.Contains(string(out), noFilter) {
			t.Skipf("%s", out)
		}
		if err != nil || !strings.Contains(string(out), "asked all") {
			t.Errorf("%v: %v\n%.600s", errno, err, out)
		}
	}
}

// looker is what a process of its own, which is to look, is told: a number, and where the recorded /proc is.
func looker(t *testing.T, v string) (n int, recorded *FS) {
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	if recorded, err = OpenDir(os.Getenv(dirVariable)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { recorded.Close() })
	return n, recorded
}

func lookWithoutTrial(t *testing.T, v string) {
	errno, recorded := looker(t, v)
	if err := refuseTrial(uint32(errno)); err != nil {
		t.Skipf(noFilter+": %v", err)
	}
	if got := makeThreads(1); got != uintptr(errno) {
		t.Fatalf("the trial gives %d", got)
	}
	recorded.Bounded(func(p *FS) {
		if p.Ask(10, runtime.Gosched) {
			t.Log("asked all")
		}
	})
}

// refuseTrial has clone(2) with CLONE_THREAD and CLONE_VFORK fail, in all threads.
func refuseTrial(errno uint32) error {
	const flags = unix.CLONE_THREAD | unix.CLONE_VFORK
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 4},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // the low half of its first argument
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: flags, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | errno},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if e != 0 {
		return e
	}
	return nil
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
	spare, recorded := looker(t, v)
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
