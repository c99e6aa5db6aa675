// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"os"
	"strconv"
	"strings"
	"time"

	"safeload/bpf/live"
	"safeload/internal/observe"
)

// What a kernel thread or a work item waits for on behalf of an init is only
// part of a circle if the init waits for it in turn, and nothing in the kernel
// says so. It is believed of an init that sleeps in a wait for a completion and
// has not once woken for stillFor.
const (
	stillFor  = time.Second
	stillLook = 100 * time.Millisecond // between two looks
)

// stillness is since when a task has not woken.
type stillness struct {
	since    time.Time
	switches string
}

// standing watches the inits that likely findings rest on.
type standing struct {
	tasks   map[uint64]stillness    // by load
	pending bool                    // there are such inits
	next    time.Time               // not to be looked at before
	wakes   func(*live.Load) string // how often its task has gone to sleep; empty: it runs
}

// look samples the suspected loads and returns those that have stood still.
// asleep tells whether the task of a load is in a wait for a completion.
func (s *standing) look(now time.Time, suspected []*live.Load, asleep func(load uint64) bool) []uint64 {
	s.next = now.Add(stillLook)
	s.pending = len(suspected) > 0
	was := s.tasks
	s.tasks = make(map[uint64]stillness)
	var still []uint64
	for _, l := range suspected {
		n := s.wakes(l)
		if n == "" || !asleep(l.ID) {
			continue
		}
		t, ok := was[l.ID]
		if !ok || t.switches != n {
			t = stillness{now, n}
		}
		s.tasks[l.ID] = t
		if now.Sub(t.since) >= stillFor {
			still = append(still, l.ID)
		}
	}
	return still
}

// taskSleeps returns how often a task has gone to sleep by itself, if it sleeps
// now; else nothing.
func taskSleeps(l *live.Load) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(l.TGID)) + "/task/" + strconv.Itoa(int(l.TID)) + "/status")
	if err != nil {
		return ""
	}
	n, asleep := "", false
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "State:"); ok {
			v = strings.TrimSpace(v)
			asleep = strings.HasPrefix(v, "S") || strings.HasPrefix(v, "D")
		}
		if v, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
			n = strings.TrimSpace(v)
		}
	}
	if !asleep {
		return ""
	}
	// The probe may have missed that its wait for a completion has ended: the kernel
	// follows the returns of so many sleepers only. A sleep for a set time ends.
	w, err := os.ReadFile("/proc/" + strconv.Itoa(int(l.TGID)) + "/task/" + strconv.Itoa(int(l.TID)) + "/wchan")
	if err != nil || observe.IsTimed(string(w)) {
		return ""
	}
	return n
}
