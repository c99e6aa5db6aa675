// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
)

// ErrWoken is what [Source.Next] returns after [Source.Wake].
var ErrWoken = bpf.ErrWoken

// Source sees module loads, and who waits for whom.
type Source interface {
	// Describe says what the source is and what it cannot see.
	Describe() Description
	// Next waits for what the source sees next. At the given time it returns
	// [os.ErrDeadlineExceeded], after Wake [ErrWoken].
	Next(until time.Time) (Observation, error)
	// Wake ends a Next that waits, or the following one. Any goroutine may call it.
	Wake()
	// Beat keeps up what the source shares with others. It is to be called
	// every [bpf.Heartbeat].
	Beat() error
	// Lost counts what has happened unseen, since the source was opened, for
	// want of room.
	Lost() (events uint64, err error)
	// Waits reports whether the waiter of a finding is in that wait now.
	Waits(*live.Finding) bool
	// Stuck reports whether the waiter of a finding is now, for certain, in a
	// circle of waits.
	Stuck(*live.Finding) bool
	// Close gives back what the source has of the kernel.
	Close() error
}

// Observation is one thing that a source has seen, and what follows from it.
type Observation struct {
	Event bpf.Event // its Kind is 0 where no single event told
	live.Report
}

// Description says what a source is.
type Description struct {
	Name    string       // one of [Sources]
	Missing []string     // what it cannot see on this kernel
	Learned *bpf.Learned // what it found out about the kernel; nil if it need not
	Better  []string     // sources that see more, each with why it is not used
}

// OpenOptions say which source is to be opened, and how.
type OpenOptions struct {
	Source string         // one of [Sources]; empty: the best that works
	Break  syscall.Signal // that the probe sends by itself, where the wait begins
	Pin    string         // where the probe pins its maps; empty: nowhere
}

// sources are all there are, the best first.
var sources = []struct {
	name string
	open func(OpenOptions) (Source, error)
	// admin says that the source needs CAP_SYS_ADMIN for longer than to be opened.
	admin bool
}{
	{"bpf", openProbe, false},
	{"tracefs", openTracefs, false},
	{"proc", openProc, true}, // reads /proc/PID/stack
}

// Sources are the names that [OpenOptions] takes, the best first.
func Sources() []string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.name
	}
	return names
}

// Unavailable says that no source works here, and why, of each that was tried.
type Unavailable struct{ Tried []string }

func (u *Unavailable) Error() string { return "nothing to watch with: " + strings.Join(u.Tried, "; ") }

// Open opens the source that is asked for, or the best that works, for a process
// that does nothing but watch: its priority is raised, and CAP_SYS_ADMIN given up
// where it has been used for the last time. An error is [*Unavailable] if no
// source works and none was asked for.
func Open(o OpenOptions) (Source, error) {
	var better []string
	for _, s := range sources {
		if o.Source != "" && o.Source != s.name {
			continue
		}
		src, err := s.open(o)
		if err == nil {
			if !s.admin {
				giveUpAdmin()
			}
			// A finding is worth telling at once on a board that is busy booting.
			// Without the right to it we are merely later.
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -10)
			return &opened{src, better}, nil
		}
		var u *bpf.Unavailable
		if o.Source != "" || !errors.As(err, &u) {
			return nil, err
		}
		better = append(better, s.name+": "+err.Error())
	}
	if better == nil {
		return nil, fmt.Errorf("no source %q", o.Source)
	}
	return nil, &Unavailable{better}
}

// opened adds to a source's description why it is not a better one.
type opened struct {
	Source
	better []string
}

func (o *opened) Describe() Description {
	d := o.Source.Describe()
	d.Better = o.better
	return d
}
