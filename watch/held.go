// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"time"

	"safeload/bpf/live"
	"safeload/finit/unpack"
	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/clock"
	"safeload/internal/locks"
)

// No event tells that a load waits for a queue or an async function of the one who asked
// for it: nothing is loaded twice. That it waits for a lock of his an event tells on some
// kernels only, and not in every case (moment.go). So the watch looks from outside, as
// diagnose does, at a load that takes long while somebody waits for a helper: after
// heldAfter, and again each time that it has become heldTimes as old.
const (
	heldAfter = time.Second
	heldTimes = 3 / 2.0
	heldMost  = 30 * time.Second // between two looks
)

// held looks for such loads, in a goroutine of its own: a look takes some 200 ms.
type held struct {
	next    time.Time
	began   time.Time // the last look
	rest    time.Time // no look before
	wanted  bool      // one as soon as this one has ended
	looking bool
	found   chan []live.Finding
	told    map[string]bool
	wake    func()
	examine func() (*survey.Survey, error)
	boot    func() int64
	close   func()
	source  survey.Locks // nil: they cannot be read
	blind   error        // why
}

// openHeld prepares the kernel's locks to be read, while there is the right to it:
// attaching a probe may need CAP_SYS_ADMIN. Without it locks are not seen.
func openHeld(wake func()) *held {
	h := newHeld(wake)
	source, err := locks.Open()
	options := survey.Options{Unpack: unpack.InProcess}
	if err == nil {
		h.close, h.source = source.Close, kept{source}
		options.Locks = func() (survey.Locks, error) { return kept{source}, nil }
	}
	h.examine = func() (*survey.Survey, error) { return survey.Examine(options) }
	h.blind = err
	return h
}

func newHeld(wake func()) *held {
	return &held{found: make(chan []live.Finding, 1), told: make(map[string]bool), wake: wake, boot: clock.System{}.Boot, close: func() {}}
}

// kept is the kernel's locks, which stay open from one look to the next.
type kept struct{ *locks.Source }

func (k kept) Close() { k.Forget() }

// look begins a look when one is due, and returns what the last one has found. since is
// when the oldest of the loads began for which a look is worth it, in boot time.
func (h *held) look(now time.Time, since time.Duration, any bool) []live.Finding {
	var found []live.Finding
	select {
	case found = <-h.found:
		h.looking = false
		// A slow machine spends a fifth of its time on looks at most.
		h.rest = now.Add(4 * now.Sub(h.began))
		if h.wanted || h.next.Before(h.rest) {
			h.next, h.wanted = h.rest, false
		}
	default:
	}
	if !any {
		h.next = time.Time{}
		return found
	}
	age := time.Duration(h.boot()) - since
	switch {
	case h.looking:
	case h.next.IsZero() && age < heldAfter:
		h.next = now.Add(heldAfter - age)
	case h.next.IsZero() || !now.Before(h.next):
		h.next = now.Add(min(heldMost, max(heldAfter, time.Duration(float64(age)*(heldTimes-1)))))
		h.looking, h.began = true, now
		go func() {
			h.found <- h.circles()
			h.wake()
		}()
	}
	return found
}

// sooner has the next look begin as soon as one may.
func (h *held) sooner(now time.Time) {
	at := now
	if at.Before(h.rest) {
		at = h.rest
	}
	switch {
	case h.looking:
		h.wanted = true
	case h.next.IsZero() || at.Before(h.next):
		h.next = at
	}
}

// due is when look is to be called again.
func (h *held) due() (time.Time, bool) {
	if h == nil || h.next.IsZero() || h.looking {
		return time.Time{}, false
	}
	return h.next, true
}

// circles are those that a survey finds and events do not, and that were not told.
func (h *held) circles() []live.Finding {
	sv, err := h.examine()
	if err != nil {
		return nil
	}
	told := make(map[string]bool)
	var found []live.Finding
	for i := range sv.Findings {
		f := &sv.Findings[i]
		// What is only likely may be a stranger's request and an init that is slow:
		// diagnose tells it to who has asked.
		if f.Kind == graph.Recursion || f.Certainty != graph.Certain {
			continue
		}
		l := surveyed(f, sv, time.Duration(h.boot()))
		key := sentence(&l)
		if told[key] = true; !h.told[key] {
			found = append(found, l)
		}
	}
	h.told = told
	return found
}

// waits surveys anew: whether who asked is still the one whose end would free a load.
func (h *held) waits(f *live.Finding) bool {
	h.await()
	sv, err := h.examine()
	if err != nil {
		return false
	}
	for _, g := range sv.Findings {
		if g.Kind == f.Kind && g.Asker == f.Victim() && g.Module == f.Module && g.Certainty == graph.Certain {
			return true
		}
	}
	return false
}

// await waits for the look that is being made: the locks have one reader.
func (h *held) await() {
	if h.looking {
		found := <-h.found
		h.found <- found
	}
}

// errNotKill is why nobody is signalled for a load that waits for a lock.
var errNotKill = errors.New("who asked holds what the load waits for, and nothing but --break=KILL ends his request")

// mayFree tells whether a finding's asker is to be signalled: SIGKILL is all that
// reaches him, a kernel thread not even that, and never the load.
func mayFree(f *live.Finding) bool {
	return f.Kind != graph.Async && f.Certainty == graph.Certain && !f.Kernel && f.Victim() != 0
}
