// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"safeload/bpf"
	"safeload/internal/plain"
	"safeload/internal/registry"
	"safeload/timeline"
)

// history is what log and why tell of: a record, the ring of the probe in the kernel, or both.
type history struct {
	record *os.File  // nil: there is none
	ring   *bpf.Ring // nil: there is none, or a record was named
	tasks  *timeline.Tasks
	told   *timeline.Ring
	why    reasons
}

// openHistory opens a named record; without a name that of safeload-watch.service, and the probe's ring.
func openHistory(name string) (*history, error) {
	h := &history{}
	var err error
	h.record, err = openRecord(name)
	if name != "" {
		return h, err
	}
	var fault error
	h.ring, fault = bpf.OpenRing(bpf.PinDir)
	switch {
	case err != nil && fault != nil && errors.Is(fault, os.ErrPermission):
		return nil, fmt.Errorf("read the ring of the probe in the kernel: %w", fault)
	case err != nil && fault != nil && !errors.Is(err, os.ErrNotExist):
		return nil, err
	case err != nil && fault != nil:
		return nil, fmt.Errorf("nothing has kept what was loaded: no record %s (safeload watch --record writes one), and %w (safeload probe load leaves one there, safeload install at each boot)",
			timeline.DefaultRecord, fault)
	}
	if h.ring != nil {
		h.tasks, _ = timeline.OpenTasks()
		h.told = timeline.NewRing(ringStart(h.ring), h.tasks)
	}
	return h, nil
}

func (h *history) close() {
	if h.record != nil {
		h.record.Close()
	}
	if h.ring != nil {
		h.ring.Close()
	}
	if h.tasks != nil {
		h.tasks.Close()
	}
	h.why.close()
}

// ringStart says of which kernel a ring is, and since when.
func ringStart(r *bpf.Ring) timeline.Start {
	var u unix.Utsname
	_ = unix.Uname(&u)
	since := time.Duration(r.Since)
	return timeline.Start{Time: time.Now().Add(since - bpf.Now()), Boot: since, BootID: registry.BootID(), Release: unix.ByteSliceToString(u.Release[:]),
		Machine: unix.ByteSliceToString(u.Machine[:]), Source: "probe", Missing: r.Missing}
}

// notice says from where what follows is, or what is missing in it.
type notice struct {
	Schema int    `json:"schema"`
	Type   string `json:"type"` // source, lost
	Source string `json:"source,omitempty"`
	File   string `json:"file,omitempty"`
	Time   string `json:"time,omitempty"`
	Boot   int64  `json:"boot_us,omitempty"`
	Loads  uint64 `json:"loads,omitempty"`
	Nought uint64 `json:"came_to_nothing,omitempty"`
}

// words say it, for people.
func (n *notice) words() string {
	switch {
	case n.Type == "lost":
		return plain.Sprintf("newer ones took the place of %d loads, and of %d that came to nothing: these are missing", n.Loads, n.Nought)
	case n.Source == "record":
		return plain.Sprintf("from the record %s, which begins at %s", n.File, n.Time)
	}
	return plain.Sprintf("from the ring of the probe that is in the kernel since %s", n.Time)
}

// teller is who is told.
type teller struct {
	entry  func(*timeline.Timeline, timeline.Entry)
	notice func(*notice)
}

// notices for a command: as lines of its JSON, or for people beside what it prints.
func noticesTo(name string, out, stderr io.Writer, asJSON bool) func(*notice) {
	return func(n *notice) {
		if asJSON {
			_ = json.NewEncoder(out).Encode(n)
			return
		}
		plain.Fprintf(stderr, "safeload: %s: %s\n", name, n.words())
	}
}

// source tells where a timeline comes from.
func (t *teller) source(tl *timeline.Timeline, source, file string) {
	t.notice(&notice{Schema: timeline.Schema, Type: "source", Source: source, File: file,
		Time: tl.When(tl.Start.Boot).UTC().Format(time.RFC3339), Boot: tl.Start.Boot.Microseconds()})
}

func (t *teller) lost(taken *bpf.Taken) {
	if taken.LostLoads+taken.LostNothings > 0 {
		t.notice(&notice{Schema: timeline.Schema, Type: "lost", Loads: taken.LostLoads, Nought: taken.LostNothings})
	}
}

// take reads the ring.
func (h *history) take() (taken *bpf.Taken, tl *timeline.Timeline, ended, open []timeline.Entry, err error) {
	if taken, err = h.ring.Read(); err != nil {
		return nil, nil, nil, nil, err
	}
	tl, ended, open = h.told.Take(taken, thisMoment())
	h.why.learn(tl)
	return taken, tl, ended, open, nil
}

// tell tells all that is known now.
func (h *history) tell(now timeline.Now, to *teller) error {
	if h.record == nil {
		taken, tl, ended, open, err := h.take()
		if err != nil {
			return err
		}
		to.source(tl, "probe", "")
		to.lost(taken)
		for _, e := range append(ended, open...) {
			to.entry(tl, e)
		}
		return nil
	}
	later, err := h.earlier(to)
	if err != nil {
		return err
	}
	if err := timeline.Log(h.record, now, to.entry); err != nil {
		return err
	}
	later()
	return nil
}

// earlier tells what the ring has of before the record, and returns what tells of after it. A record of another boot, and
// one that was named, stands for itself.
func (h *history) earlier(to *teller) (later func(), err error) {
	later = func() {}
	record, err := h.why.read(h.record)
	if err != nil {
		return nil, err
	}
	if h.ring == nil || record == nil || record.Start.BootID != registry.BootID() {
		return later, nil
	}
	taken, tl, ended, open, err := h.take()
	if err != nil {
		return later, nil // taken away meanwhile: the record is there
	}
	to.source(tl, "probe", "")
	to.lost(taken)
	for _, e := range ended {
		if e.Ended() < record.Start.Boot {
			to.entry(tl, e)
		}
	}
	to.source(record, "record", h.record.Name())
	return func() {
		for _, e := range ended {
			if !h.why.has(e) && e.Ended() > record.To {
				to.entry(tl, e)
			}
		}
		for _, e := range open {
			if !h.why.has(e) && e.Began() > record.To {
				to.entry(tl, e)
			}
		}
	}, nil
}

// follow tells what is known and what comes, until its context ends.
func (h *history) follow(ctx context.Context, name string, now timeline.Now, to *teller, stderr io.Writer) error {
	if h.record != nil {
		if h.ring != nil {
			if _, err := h.earlier(to); err != nil {
				return err
			}
		}
		return followRecord(ctx, name, now, to.entry, stderr)
	}
	var tl *timeline.Timeline
	var open []timeline.Entry
	for first := true; ; first = false {
		taken, now, ended, goOn, err := h.take()
		if errors.Is(err, bpf.ErrUnloaded) {
			err = h.again()
			first = true
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		tl, open = now, goOn
		if first {
			to.source(tl, "probe", "")
		}
		to.lost(taken)
		for _, e := range ended {
			to.entry(tl, e)
		}
		select {
		case <-ctx.Done():
			for _, e := range open {
				to.entry(tl, e)
			}
			return nil
		case <-time.After(ringEvery):
		}
	}
}

// ringEvery is how often a ring is looked at that is followed: 512 loads do not come in that time.
const ringEvery = 500 * time.Millisecond

// again opens the ring of the probe that has taken the place of the one that was read.
func (h *history) again() error {
	r, err := bpf.OpenRing(bpf.PinDir)
	if err != nil {
		return err
	}
	h.ring.Close()
	h.ring, h.told = r, timeline.NewRing(ringStart(r), h.tasks)
	return nil
}
