// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/internal/proc"
	"safeload/timeline"
	"safeload/watch"
)

// watchRecorder writes a record beside what a watch prints. What goes wrong with it is told once, and ends no watch.
type watchRecorder struct {
	watch.Reporter
	record *timeline.Recorder
	file   *os.File
	proc   *proc.FS
	said   bool
}

// record begins a record in a new file, which only its owner reads: who asks for what is nobody else's business.
func record(name string, d watch.Description, r watch.Reporter) (*watchRecorder, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write the record: %w", err)
	}
	w := &watchRecorder{Reporter: r, file: f}
	var who func(tid, tgid uint32, at time.Duration) *timeline.Who
	if w.proc, err = proc.OpenProc(); err == nil {
		who = timeline.Asker(w.proc)
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	w.record, err = timeline.NewRecorder(f, timeline.Start{Time: time.Now(), Boot: bpf.Now(), Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]), Source: d.Name, Missing: d.Missing}, who)
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *watchRecorder) wrote(err error) {
	if err != nil && !w.said {
		w.said = true
		w.Note("%v; the watch goes on without it", err)
	}
}

// Seen records an event, then tells of it.
func (w *watchRecorder) Seen(o *watch.Observation) {
	w.wrote(w.record.Event(&o.Event))
	w.Reporter.Seen(o)
}

// Finding records that a load waits for itself, then tells of it.
func (w *watchRecorder) Finding(f *live.Finding) {
	w.wrote(w.record.Finding(f))
	w.Reporter.Finding(f)
}

// Lost records that events were lost, then tells of it.
func (w *watchRecorder) Lost(n uint64) {
	w.wrote(w.record.Lost(n))
	w.Reporter.Lost(n)
}

// end ends the record.
func (w *watchRecorder) end() {
	w.wrote(w.record.End(bpf.Now()))
	w.close()
}

func (w *watchRecorder) close() {
	w.file.Close()
	if w.proc != nil {
		w.proc.Close()
	}
}
