// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

var frame = regexp.MustCompile(`(?m)^\[<0>\] ([\w.]+)\+`)

func functions(stack string) (names []string) {
	for _, m := range frame.FindAllStringSubmatch(stack, -1) {
		names = append(names, m[1])
	}
	return names
}

// What the iterator tells must be what /proc tells.
func TestStacks(t *testing.T) {
	sleeper := exec.Command("sleep", "1000")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	}()
	pid := sleeper.Process.Pid
	file := func(name string) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(b)
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(file("wchan"), "nanosleep"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Skipf("this system does not show where a task sleeps: wchan %q", file("wchan"))
		}
	}
	all, err := Stacks([]int{pid})
	if _, missing := os.Stat("/sys/kernel/btf/vmlinux"); missing != nil {
		if !errors.Is(err, ebpf.ErrNotSupported) {
			t.Errorf("without BTF: %v", err)
		}
		return
	}
	if errors.Is(err, os.ErrPermission) {
		t.Skip("needs CAP_BPF and CAP_PERFMON: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := file("stack")
	if want == "" {
		t.Skip("/proc/PID/stack is not readable: nothing to compare with")
	}
	if got := functions(all[pid]); len(got) == 0 || !slices.Equal(got, functions(want)) {
		t.Errorf("the iterator says\n%s/proc says\n%s", all[pid], want)
	}
}

func TestNameStacks(t *testing.T) {
	const symbols = "0000000000001000 T low\n0000000000002000 t f\n0000000000002000 T alias\n0000000000003000 d data\n" +
		"0000000000000000 T hidden\n00000000f0001000 t init\t[mod]\n"
	got, err := nameStacks(strings.NewReader(symbols), map[int][]uint64{7: {0x2010, 0x1000, 0xf0001004, 0x10}})
	want := "[<0>] f+0x10\n[<0>] low+0x0\n[<0>] init+0x4 [mod]\n[<0>] 0x10\n"
	if err != nil || got[7] != want {
		t.Errorf("got %q, %v, want %q", got[7], err, want)
	}
}
