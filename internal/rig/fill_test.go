// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A guest that fills runs only where nothing else wants to, with all its threads.
func TestGiveWay(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	q := &qemu{cmd: cmd}
	q.giveWay()
	a, err := unix.SchedGetAttr(cmd.Process.Pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	if nice, _ := unix.Getpriority(unix.PRIO_PROCESS, cmd.Process.Pid); a.Policy != unix.SCHED_IDLE && nice != 1 { // 20 - 19
		t.Errorf("policy %d, priority %d", a.Policy, nice)
	}
	if d := q.starved(); d < 0 || d > time.Minute {
		t.Errorf("starved for %s", d)
	}
}

// A guest that computes by the real clock waits for who has the file locked; others do not, nor is who is gone waited for.
func TestPlace(t *testing.T) {
	t.Setenv("SAFELOAD_SLOTS", t.TempDir())
	file := filepath.Join(t.TempDir(), "hold")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	r := &run{Options: Options{Hold: file}, cache: t.TempDir()}
	slot, err := r.place(t.Context(), &Guest{Mode: Safe, fills: true})
	if err != nil || !strings.HasPrefix(filepath.Base(slot.Name()), filling) {
		t.Fatalf("%v, %v", slot, err)
	}
	defer slot.Close()
	placed := make(chan error)
	go func() {
		slot, err := r.place(t.Context(), &Guest{Mode: Safe})
		if err == nil {
			defer slot.Close()
		}
		placed <- err
	}()
	select {
	case err := <-placed:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	_ = f.Close()
	if err := <-placed; err != nil {
		t.Error(err)
	}
	r.Hold = filepath.Join(t.TempDir(), "gone")
	if slot, err := r.place(t.Context(), &Guest{Mode: Safe}); err != nil {
		t.Error(err)
	} else {
		_ = slot.Close()
	}
}
