// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A guest whose time counts its instructions does not notice how much of a processor it gets. In a run of the whole matrix
// such guests fill what those by the real clock leave, which sleep for a third of their time, and what other programs leave
// while no guest by the real clock may run. None of those has less for it.

// fills says whether guests whose time counts their instructions get what others leave. One that somebody waits for does
// not; nor where the kernel does not say how long they had to wait, which their limits of time must not count.
func (r *run) fills() bool {
	if r.wide() || r.Shell || r.Quick {
		return false
	}
	_, ok := waited("self")
	return ok
}

// giveWay lets its threads run only where nothing else wants to. New ones do as those that start them.
func (q *qemu) giveWay() {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", q.cmd.Process.Pid))
	for _, t := range tasks {
		tid, err := strconv.Atoi(filepath.Base(t))
		if err != nil {
			continue
		}
		if unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0) != nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, 19) // the next best
		}
	}
}

// starved is how long it could have run and others did: by the thread that had to wait longest.
func (q *qemu) starved() time.Duration {
	var most time.Duration
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*", q.cmd.Process.Pid))
	for _, t := range tasks {
		if d, ok := waited(strings.TrimPrefix(t, "/proc/")); ok {
			most = max(most, d)
		}
	}
	return most
}

// waited is how long a thread was ready to run and did not: sched_info.run_delay, the second number of schedstat.
func waited(task string) (time.Duration, bool) {
	b, err := os.ReadFile("/proc/" + task + "/schedstat")
	f := strings.Fields(string(b))
	if err != nil || len(f) < 2 {
		return 0, false
	}
	ns, err := strconv.ParseInt(f[1], 10, 64)
	return time.Duration(ns), err == nil
}

// place gives the guest its slot. One by the real clock that computes waits for others before: what it does has limits of
// time, and whoever has the file locked keeps the processors busy.
func (r *run) place(ctx context.Context, g *Guest) (*os.File, error) {
	if r.Hold != "" && g.slot() == computing {
		if err := unlocked(ctx, r.Hold); err != nil {
			return nil, err
		}
	}
	return takeSlot(ctx, r.cache, g.slot())
}

// unlocked waits until nobody has the file locked.
func unlocked(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil // who had it is gone
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}
