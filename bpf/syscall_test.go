// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	withoutVariable = "BPF_TEST_WITHOUT"
	noFilter        = "no seccomp filter"
)

// The library creates maps in any order, and has another error for some of them.
func TestNoSyscall(t *testing.T) {
	if os.Getenv(withoutVariable) != "" {
		loadWithoutSyscall(t)
		return
	}
	c := exec.Command("/proc/self/exe", "-test.run=^TestNoSyscall$", "-test.v")
	c.Env = append(os.Environ(), withoutVariable+"=1")
	switch out, err := c.CombinedOutput(); {
	case strings.Contains(string(out), noFilter):
		t.Skipf("%s", out)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	}
}

func loadWithoutSyscall(t *testing.T) {
	if err := takeSyscall(); err != nil {
		t.Skipf(noFilter+": %v", err)
	}
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadProbe, loadPhase, loadPeek} {
		spec, err := load()
		if err != nil {
			t.Fatal(err)
		}
		untyped(spec.Maps)
		for name, m := range spec.Maps {
			_, err := ebpf.NewCollection(&ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{name: m}})
			if err == nil {
				t.Errorf("map %s: created without bpf(2)", name)
				continue
			}
			var u *Unavailable
			if !errors.As(refused(err), &u) || !strings.Contains(u.Error(), "CONFIG_BPF_SYSCALL") {
				t.Errorf("map %s: %v is told as %v", name, err, refused(err))
			}
		}
	}
}

// takeSyscall has bpf(2) answer as where a kernel has none, for this goroutine, which keeps its thread.
func takeSyscall() error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the system call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_BPF, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}
