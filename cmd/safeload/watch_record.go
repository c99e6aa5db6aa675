// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/bpf/live"
	"safeload/internal/registry"
	"safeload/timeline"
	"safeload/watch"
)

// watchRecorder writes a record beside what a watch prints. What goes wrong with it is told once, and ends no watch.
type watchRecorder struct {
	watch.Reporter
	name   string
	about  watch.Description
	record *timeline.Recorder
	file   *os.File
	tasks  *timeline.Tasks // nil: nothing is known of who asks
	said   bool

	unasked     uint64 // that the last note counted
	noteUnasked time.Duration
}

// unaskedEvery is how often a note says of how many it is not known who they are.
const unaskedEvery = time.Minute

// record begins a record.
func record(name string, d watch.Description, r watch.Reporter) (*watchRecorder, error) {
	w := &watchRecorder{Reporter: r, name: name, about: d}
	w.tasks, _ = timeline.OpenTasks()
	if err := w.begin(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// begin begins a record in a new file, in place of the one before, if there is one.
func (w *watchRecorder) begin() error {
	f, err := newRecordFile(w.name)
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	var who func(tid, tgid uint32, at time.Duration) *timeline.Who
	if w.tasks != nil {
		who = w.tasks.Who
	}
	var u unix.Utsname
	_ = unix.Uname(&u)
	r, err := timeline.NewRecorder(f, timeline.Start{Time: time.Now(), Boot: bpf.Now(), BootID: registry.BootID(), Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]), Source: w.about.Name, Missing: w.about.Missing}, who)
	if err != nil {
		f.Close()
		return err
	}
	if w.file != nil {
		w.file.Close()
	}
	w.record, w.file, w.unasked = r, f, 0
	return nil
}

// newRecordFile makes a file that nobody else has, and that only its owner reads: who asks for what is nobody else's business.
// A record that is there gets .1 behind its name, in place of one that had it. Nothing but a file gives way so, not a device,
// nor what a link names.
func newRecordFile(name string) (*os.File, error) {
	switch st, err := os.Lstat(name); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is there, and is no file", name)
	default:
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
}

func (w *watchRecorder) wrote(err error) {
	if err != nil && !w.said {
		w.said = true
		w.Note("%v; the watch goes on without it", err)
	}
	if w.record.Full() && !w.said {
		w.tellUnasked(true)
		if err := w.begin(); err != nil {
			w.said = true
			w.Note("the record is full, and the watch goes on without it: %v", err)
			return
		}
		w.Note("the record is full: it is %s.1 now, and goes on in a new %s", w.name, w.name)
	}
}

// tellUnasked says of how many the record does not say who they are by, if that has become more: at once if it is the last of
// a record.
func (w *watchRecorder) tellUnasked(last bool) {
	n := w.record.Unasked()
	if n == w.unasked {
		return
	}
	now := bpf.Now()
	if !last && now < w.noteUnasked {
		return
	}
	w.Note("requests and loads come too fast to ask who they are by: %d are in the record without it", n-w.unasked)
	w.unasked, w.noteUnasked = n, now+unaskedEvery
}

// Seen records an event, then tells of it.
func (w *watchRecorder) Seen(o *watch.Observation) {
	w.wrote(w.record.Event(&o.Event))
	w.tellUnasked(false)
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
	w.tellUnasked(true)
	w.wrote(w.record.End(bpf.Now()))
	w.close()
}

func (w *watchRecorder) close() {
	if w.file != nil {
		w.file.Close()
	}
	if w.tasks != nil {
		w.tasks.Close()
	}
}
