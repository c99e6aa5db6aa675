// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf/live"
	"safeload/internal/journal"
	"safeload/internal/plain"
	"safeload/kmod"
	"safeload/timeline"
	"safeload/watch"
)

// watchJournal sends each load that has ended, and each finding, to systemd's journal beside what a watch prints. What the
// journal does not take in time is dropped, and counted: a watch must not wait for it.
type watchJournal struct {
	watch.Reporter
	live    *timeline.Live
	queue   chan journalEntry
	done    chan struct{}
	dropped uint64
	told    time.Time // when of what was dropped

	failed atomic.Pointer[error] // the last error of the journal
	unsent atomic.Uint64         // entries that it did not take
	send   sendEntry
}

type sendEntry func(message string, priority int, fields map[string]string) error

type journalEntry struct {
	message  string
	priority int
	fields   map[string]string
}

const (
	journalQueue   = 1024
	journalWait    = 5 * time.Second // for a journal whose queue is full
	journalLinger  = time.Second     // for what is queued when a watch ends
	droppedNoteGap = time.Minute
)

// journalled begins to send to the journal what r is told.
func journalled(tasks *timeline.Tasks, r watch.Reporter) *watchJournal {
	sender := &journal.Sender{Timeout: journalWait}
	return newJournal(tasks, r, sender.Send)
}

func newJournal(tasks *timeline.Tasks, r watch.Reporter, send sendEntry) *watchJournal {
	w := &watchJournal{Reporter: r, queue: make(chan journalEntry, journalQueue), done: make(chan struct{}), send: send}
	w.live = timeline.NewLive(askWho(tasks), w.ended)
	go func() {
		defer close(w.done)
		for e := range w.queue {
			if err := w.send(e.message, e.priority, e.fields); err != nil {
				w.failed.Store(&err)
				w.unsent.Add(1)
			}
		}
	}()
	return w
}

// ended queues a load. Of requests the loads say what came of them; those that brought nothing any user can make by the thousand:
// they are in a record only.
func (w *watchJournal) ended(e timeline.Entry) {
	if e.Load == nil {
		return
	}
	priority := journal.Info
	if e.Load.Ret < 0 {
		priority = journal.Notice
	}
	w.put(journalEntry{e.Message(), priority, e.Fields()})
}

func (w *watchJournal) put(e journalEntry) {
	e.fields["SYSLOG_IDENTIFIER"] = "safeload"
	select {
	case w.queue <- e:
	default:
		w.dropped++
	}
	w.tell(false)
}

// tell notes once a minute how many entries the journal does not have, and why.
func (w *watchJournal) tell(last bool) {
	if w.dropped+w.unsent.Load() == 0 || !last && time.Since(w.told) < droppedNoteGap {
		return
	}
	why := "it does not keep up"
	if err := w.failed.Load(); err != nil && !errors.Is(*err, unix.EAGAIN) {
		why = (*err).Error()
	}
	w.Note("%d entries are not in the journal (%s): %s; the watch goes on", w.dropped+w.unsent.Swap(0), journal.Socket, why)
	w.dropped, w.told = 0, time.Now()
}

// Seen takes an event, then tells of it.
func (w *watchJournal) Seen(o *watch.Observation) {
	w.live.Event(&o.Event)
	w.Reporter.Seen(o)
}

// Finding sends that a load waits for itself, then tells of it.
func (w *watchJournal) Finding(f *live.Finding) {
	w.live.Finding(f)
	var chain strings.Builder
	for i := range f.Chain {
		fmt.Fprintln(&chain, stepText(&f.Chain[i], i == len(f.Chain)-1))
	}
	fields := map[string]string{"SAFELOAD_TYPE": "finding", "SAFELOAD_MODULE": kmod.NormalizeName(f.Module),
		"SAFELOAD_CERTAINTY": live.Word(f.Certainty), "SAFELOAD_CHAIN": strings.TrimSuffix(chain.String(), "\n"),
		"SAFELOAD_PID": fmt.Sprint(f.Victim()), "SAFELOAD_COMM": f.Comm}
	w.put(journalEntry{plain.Sprintf("load of %s %s (%s)", f.Module, f.Kind.Wait(), live.Word(f.Certainty)), journal.Warning, fields})
	w.Reporter.Finding(f)
}

// end waits a little for what is queued.
func (w *watchJournal) end() {
	close(w.queue)
	select {
	case <-w.done:
	case <-time.After(journalLinger):
		w.dropped += uint64(len(w.queue))
	}
	w.tell(true)
}
