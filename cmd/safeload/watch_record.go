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

// watchRecorder writes a record beside what a watch prints. An error of the record is reported once, and does not end the
// watch.
type watchRecorder struct {
	watch.Reporter
	name   string
	about  watch.Description
	record *timeline.Recorder
	file   *os.File
	tasks  *timeline.Tasks // nil: nothing is known of who asks
	failed bool            // and that was reported

	unasked  uint64        // Recorder.Unasked at the last note
	nextNote time.Duration // not before
}

// unaskedEvery is how often at most a note counts the requests and loads whose tasks the record does not tell.
const unaskedEvery = time.Minute

// record begins a record in the named file.
func record(name string, d watch.Description, r watch.Reporter) (*watchRecorder, error) {
	w := &watchRecorder{Reporter: r, name: name, about: d}
	w.tasks, _ = timeline.OpenTasks()
	if err := w.begin(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// begin begins a record in a new file, and ends the one before.
func (w *watchRecorder) begin() error {
	f, err := newRecordFile(w.name)
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	r, err := timeline.NewRecorder(f, startOf(w.about), askWho(w.tasks))
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

// startOf says where and when a watch begins to tell.
func startOf(d watch.Description) timeline.Start {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return timeline.Start{Time: time.Now(), Boot: bpf.Now(), BootID: registry.BootID(), Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]), Source: d.Name, Missing: d.Missing}
}

// askWho is how who a task is can be asked, or nil.
func askWho(tasks *timeline.Tasks) func(tid, tgid uint32, at time.Duration) *timeline.Who {
	if tasks == nil {
		return nil
	}
	return tasks.Who
}

// newRecordFile makes a file that is new, and that only its owner can read. A file that has the name is renamed to NAME.1,
// in place of an earlier one; anything else that has it, such as a device or a link, is an error.
func newRecordFile(name string) (*os.File, error) {
	switch st, err := os.Lstat(name); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	default:
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
}

func (w *watchRecorder) wrote(err error) {
	if err != nil && !w.failed {
		w.failed = true
		w.Note("%v; the watch goes on without it", err)
	}
	if w.record.Full() && !w.failed {
		w.noteUnasked(true)
		if err := w.begin(); err != nil {
			w.failed = true
			w.Note("the record is full, and the watch goes on without it: %v", err)
			return
		}
		w.Note("the record is full: it is %s.1 now, and goes on in a new %s", w.name, w.name)
	}
}

// noteUnasked prints how many requests and loads the record has without their tasks, if there are more since the last
// note. last: the record ends, so do not wait for the next note's time.
func (w *watchRecorder) noteUnasked(last bool) {
	n := w.record.Unasked()
	if n == w.unasked {
		return
	}
	now := bpf.Now()
	if !last && now < w.nextNote {
		return
	}
	w.Note("requests and loads come too fast to read whose they are: %d are in the record without that", n-w.unasked)
	w.unasked, w.nextNote = n, now+unaskedEvery
}

// Seen records an event, then reports it.
func (w *watchRecorder) Seen(o *watch.Observation) {
	w.wrote(w.record.Event(&o.Event))
	w.noteUnasked(false)
	w.Reporter.Seen(o)
}

// Finding records that a load waits for itself, then reports it.
func (w *watchRecorder) Finding(f *live.Finding) {
	w.wrote(w.record.Finding(f))
	w.Reporter.Finding(f)
}

// Lost records that events were lost, then reports it.
func (w *watchRecorder) Lost(n uint64) {
	w.wrote(w.record.Lost(n))
	w.Reporter.Lost(n)
}

// end writes the last line, and closes the record.
func (w *watchRecorder) end() {
	w.noteUnasked(true)
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
