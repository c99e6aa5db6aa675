// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/tracefs"
	"safeload/internal/plain"
)

var errWoken = bpf.ErrWoken

// source is where events come from: the probe, or what stands in for it.
type source interface {
	Read() (bpf.Event, error)
	SetDeadline(time.Time)
	Wake()
	Beat() error
	Lost() (uint64, error)
	Waiting(load uint64) bool
	Missing() []string
	Close() error
}

// namedSource is a source and what to call it.
type namedSource struct {
	source
	name string
	less []string // what better sources lack here
}

// sources are the names of --source, the best first.
var sources = []string{"bpf", "tracefs", "proc"}

// openSource opens the best source that works, and keeps why the better ones
// do not.
func openSource(o watchOptions, stderr io.Writer) (*namedSource, error) {
	var less []string
	for _, s := range []struct {
		name string
		open func(watchOptions) (source, error)
	}{
		{"bpf", openBPF},
		{"tracefs", openTracefs},
		{"proc", openProc},
	} {
		if o.source != "" && o.source != s.name {
			continue
		}
		src, err := s.open(o)
		if err == nil {
			if s.name != "proc" { // which reads /proc/PID/stack
				giveUpAdmin()
			}
			return &namedSource{src, s.name, less}, nil
		}
		var u *bpf.Unavailable
		if o.source != "" || !errors.As(err, &u) {
			return nil, err
		}
		less = append(less, s.name+": "+err.Error())
	}
	for _, l := range less {
		plain.Fprintf(stderr, "safeload: watch: %s\n", l)
	}
	return nil, errors.New("nothing to watch with: see above")
}

func openBPF(o watchOptions) (source, error) {
	// A huge page for some kilobytes in use is most of what a small heap takes.
	// A kernel without them has nothing to switch off.
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0)
	if o.pin == bpf.PinDir {
		// Whatever keeps us from that one, one of our own may do.
		if p, err := bpf.Attach(bpf.PinDir, bpf.Options{Signal: syscall.Signal(o.signal)}); err == nil {
			return p, nil
		}
		mountBPF()
	}
	mountTracefs()
	p, err := bpf.Open(bpf.Options{Signal: syscall.Signal(o.signal), Pin: o.pin})
	if err != nil {
		return nil, err
	}
	// Loading took several times the memory that watching does. Below 100 the
	// smallest heap that is collected shrinks as well (runtime.heapMinimum).
	debug.SetGCPercent(20)
	debug.FreeOSMemory()
	return p, nil
}

func openTracefs(watchOptions) (source, error) {
	mountTracefs()
	s, err := tracefs.Open()
	if err != nil {
		return nil, err
	}
	return s, nil
}

func mountTracefs() { mountIfAbsent("tracefs", "/sys/kernel/tracing", "") }

// mountBPF mounts a bpffs of root's: it would be everybody's, mode 1777, if not said.
func mountBPF() { mountIfAbsent("bpf", "/sys/fs/bpf", "mode=0700") }

// mountIfAbsent mounts a kernel file system where the kernel has an empty
// directory for it, as an init system would. What fails is missed, and named,
// by whoever needs it.
func mountIfAbsent(fstype, dir, options string) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		return
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil && fs.Type != unix.SYSFS_MAGIC {
		return
	}
	_ = unix.Mount(fstype, dir, fstype, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
}
