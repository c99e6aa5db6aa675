// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
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
	phases *watch.Phases // nil: what takes loads long is not told
	record *timeline.Recorder
	file   *os.File
	tasks  *timeline.Tasks // the caller's; nil: nothing is known of who asks
	failed bool            // and that was reported

	unasked  uint64        // Recorder.Unasked at the last note
	nextNote time.Duration // not before
}

// unaskedEvery is how often at most a note counts the requests and loads whose tasks the record does not tell.
const unaskedEvery = time.Minute

// record begins a record in the named file.
func record(name string, d watch.Description, tasks *timeline.Tasks, phases *watch.Phases, r watch.Reporter) (*watchRecorder, error) {
	w := &watchRecorder{Reporter: r, name: name, about: d, tasks: tasks, phases: phases}
	if err := w.begin(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// begin begins a record in a new file, and ends the one before.
func (w *watchRecorder) begin() error {
	f, err := newRecordFile(w.name, w.file)
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	r, err := timeline.NewRecorder(f, w.start(), askWho(w.tasks))
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

// start says where and when the watch begins to tell, and of what.
func (w *watchRecorder) start() timeline.Start {
	var u unix.Utsname
	_ = unix.Uname(&u)
	d := w.about
	return timeline.Start{Phases: w.phases.Kinds(), Time: time.Now(), Boot: bpf.Now(), BootID: registry.BootID(), Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]), Source: d.Name, Missing: d.Missing}
}

// askWho is how who a task is can be asked, or nil.
func askWho(tasks *timeline.Tasks) func(*bpf.Event) *timeline.Who {
	if tasks == nil {
		return nil
	}
	return tasks.Who
}

// newRecordFile makes a file that is new, and that only its owner can read. A file that has the name is renamed to NAME.1,
// in place of an earlier one; anything else that has it, such as a device or a link, is an error, and so is the record of
// another watch. own is what this watch has written so far, or nil.
func newRecordFile(name string, own *os.File) (*os.File, error) {
	switch st, err := os.Lstat(name); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	default:
		if err := notWritten(name, st, own); err != nil {
			return nil, err
		}
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockRecord(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// notWritten is an error if another watch writes a file. Only the lock of one that nobody else may open is believed: whoever can
// open a file can lock it.
func notWritten(name string, st os.FileInfo, own *os.File) error {
	if own != nil {
		if mine, err := own.Stat(); err == nil && os.SameFile(st, mine) {
			return nil
		}
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil // it can be renamed all the same
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil || opened.Mode().Perm()&0o077 != 0 {
		return nil
	}
	if sys, ok := opened.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) != os.Geteuid() {
		return nil
	}
	return lockRecord(f)
}

// lockRecord locks a record for as long as it is open. A file system that has no locks keeps nobody from writing.
func lockRecord(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("another watch writes %s", f.Name())
	}
	return nil
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
	w.takePhases()
	w.wrote(w.record.Event(&o.Event))
	w.noteUnasked(false)
	w.Reporter.Seen(o)
}

// takePhases records what was over by now.
func (w *watchRecorder) takePhases() {
	for _, p := range w.phases.Take() {
		w.wrote(w.record.Phase(&p))
	}
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
	lost := w.phases.Close()
	w.takePhases()
	if lost > 0 {
		w.wrote(w.record.Lost(lost))
	}
	w.wrote(w.record.End(bpf.Now()))
	w.close()
}

func (w *watchRecorder) close() {
	if w.file != nil {
		w.file.Close()
	}
}
