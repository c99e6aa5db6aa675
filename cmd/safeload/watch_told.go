// SPDX-License-Identifier: Apache-2.0

package main

import (
	"safeload/timeline"
	"safeload/watch"
)

// watchTold is where a watch tells what it sees besides what it prints: a record, and the journal.
type watchTold struct {
	tasks    *timeline.Tasks // nil: nothing is known of who asks; both have its answers
	phases   *watch.Phases   // nil: what takes loads long is not told
	noPhases error           // why not
	record   *watchRecorder
	journal  *watchJournal
}

// openTold opens what has to be open before the watch gives up its rights.
func openTold(o watchOptions) *watchTold {
	t := &watchTold{}
	if o.record != "" {
		t.phases, t.noPhases = watch.OpenPhases()
	}
	if o.record != "" || o.journal {
		t.tasks, _ = timeline.OpenTasks()
	}
	return t
}

// begin returns a reporter that tells all to r, too.
func (t *watchTold) begin(o watchOptions, d watch.Description, r watch.Reporter) (watch.Reporter, error) {
	if o.record != "" {
		w, err := record(o.record, d, t.tasks, t.phases, r)
		if err != nil {
			return nil, err
		}
		t.record, r = w, w
		if t.noPhases != nil {
			r.Note("the record does not tell apart what takes a load long: %v", t.noPhases)
		}
	}
	if o.journal {
		t.journal = journalled(t.tasks, r)
		r = t.journal
	}
	return r, nil
}

// end ends what was begun, the journal first: it notes what it has not sent.
func (t *watchTold) end() {
	if t.journal != nil {
		t.journal.end()
	}
	if t.record != nil {
		t.record.end()
	}
}

func (t *watchTold) close() {
	t.phases.Close()
	if t.tasks != nil {
		t.tasks.Close()
	}
}
