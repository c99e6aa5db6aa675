// SPDX-License-Identifier: Apache-2.0

// Package clock is the kernel's clocks as the guard needs them: without the
// runtime's timers, which the helper does not otherwise start.
package clock

import (
	"time"

	"golang.org/x/sys/unix"
)

// Tick is the unit of start times in /proc, USER_HZ, in nanoseconds.
const Tick = 10_000_000

// Boot is the time since the system was started, in nanoseconds
// (CLOCK_BOOTTIME); 0 when it cannot be read.
func Boot() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return ts.Nano()
}

// CPU is the time that processors have spent on this process.
func CPU() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Sleep lets the thread sleep, or for less when a signal comes.
func Sleep(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil)
}

// Clock is what decides over time reads: the system's, or one that a test turns.
type Clock interface {
	Now() time.Time
	Boot() int64
	CPU() time.Duration
	Sleep(d time.Duration)
}

// System is the clock of the running system.
type System struct{}

func (System) Now() time.Time        { return time.Now() }
func (System) Boot() int64           { return Boot() }
func (System) CPU() time.Duration    { return CPU() }
func (System) Sleep(d time.Duration) { Sleep(d) }
