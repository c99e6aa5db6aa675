// SPDX-License-Identifier: Apache-2.0

// Package timeline shows what was loaded when, for whom, and what it waited for: from a record that a watch wrote, as text,
// JSON or one HTML file. A record is what the source of the watch told, one JSON object a line
// (docs/schema/record.schema.json), so that all the rest can be worked out later and elsewhere.
package timeline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"safeload/bpf"
	"safeload/bpf/live"
)

// Schema is the version of a record's lines.
const Schema = 1

// MaxRecord is how large a record gets: some 100,000 events.
const MaxRecord = 32 << 20

// mostRead is how much of a record is read: it may be anybody's. One that a Recorder wrote is never as long.
const mostRead = MaxRecord + 1<<20

// ID is a load's or a request's. It has more digits than a JSON number keeps in all programs, so that it is text there.
type ID uint64

// MarshalJSON writes it in hexadecimal.
func (i ID) MarshalJSON() ([]byte, error) {
	return append(strconv.AppendUint([]byte{'"'}, uint64(i), 16), '"'), nil
}

// UnmarshalJSON reads it.
func (i *ID) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	n, err := strconv.ParseUint(s, 16, 64)
	*i = ID(n)
	return err
}

// line is any line of a record. Which fields mean something is as its type says, and for an event as its kind does: see
// [bpf.Kind].
type line struct {
	Schema int    `json:"schema"`
	Type   string `json:"type"` // start, event, phase, finding, lost, full, end

	// start
	Time    string   `json:"time,omitempty"`
	Release string   `json:"release,omitempty"`
	Machine string   `json:"machine,omitempty"`
	Source  string   `json:"source,omitempty"`
	BootID  string   `json:"boot_id,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Phases  []string `json:"phases,omitempty"`

	// event, finding; At of the start as well
	At     int64  `json:"boot_ns,omitempty"`
	Kind   string `json:"kind,omitempty"`
	ID     ID     `json:"id,omitempty"`
	Peer   ID     `json:"peer,omitempty"`
	Ctx    ID     `json:"ctx,omitempty"`
	PID    uint32 `json:"pid,omitempty"`
	TID    uint32 `json:"tid,omitempty"`
	How    uint32 `json:"how,omitempty"`
	Cert   uint32 `json:"certainty,omitempty"`
	Ret    int32  `json:"ret,omitempty"`
	Cgroup uint64 `json:"cgroup,omitempty"`
	Comm   string `json:"comm,omitempty"`
	Name   string `json:"name,omitempty"`
	Who    *Who   `json:"who,omitempty"`

	Begin int64  `json:"begin_ns,omitempty"` // phase: At is its end
	What  string `json:"what,omitempty"`     // phase

	Events uint64 `json:"events,omitempty"` // lost
}

// Who is what /proc told of a task, just after the event: the task may have changed meanwhile.
type Who struct {
	UID       uint32     `json:"uid"`
	Login     *uint32    `json:"login_uid,omitempty"`   // none: no user has logged in to start it
	Unit      string     `json:"unit,omitempty"`        // of systemd, from the cgroup's name
	Container string     `json:"container,omitempty"`   // the same
	Cgroup    string     `json:"cgroup,omitempty"`      // its path; empty: the root
	Inside    []uint32   `json:"pids_inside,omitempty"` // its numbers in the pid namespaces below the watch's, outermost first
	Ancestors []Ancestor `json:"ancestors,omitempty"`   // from the parent up, to init or kthreadd
}

// Ancestor is a process from which a task descends.
type Ancestor struct {
	PID  uint32 `json:"pid"`
	Comm string `json:"comm"`
}

// Start says where and when a record was made.
type Start struct {
	Time    time.Time
	Boot    time.Duration // since boot at that time
	BootID  string        // the kernel's, or empty: not known
	Release string
	Machine string
	Source  string
	Missing []string // what was not seen there
	Phases  []string // the kinds of [bpf.Phase] that are told, if they occur
}

// Recorder writes a record. An error is told once, by the call that had it; then it writes no more.
type Recorder struct {
	out     *bufio.Writer
	encoder *json.Encoder
	count   counter
	who     asker
	full    bool
	ended   bool
}

// asker asks who requests and loads, no more often than is right.
type asker struct {
	who     func(*bpf.Event) *Who
	asked   time.Duration // until then who is asked is used up, at one in whoEvery
	unasked uint64
}

// To ask who somebody is costs a look at some files of /proc for him and each of his ancestors. Anybody may make the kernel
// request a module, as often as he likes: a watch must not spend all its time on that.
const (
	whoEvery  = 10 * time.Millisecond
	whoAtOnce = 500 // as a boot has them
)

type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += n
	return n, err
}

// NewRecorder begins a record. who, if there is one, is asked about whoever loads or requests.
func NewRecorder(w io.Writer, s Start, who func(*bpf.Event) *Who) (*Recorder, error) {
	r := &Recorder{count: counter{w: w}, who: asker{who: who}}
	r.out = bufio.NewWriter(&r.count)
	r.encoder = json.NewEncoder(r.out)
	return r, r.put(&line{Type: "start", Time: s.Time.UTC().Format(time.RFC3339Nano), At: s.Boot.Nanoseconds(), Release: s.Release, Machine: s.Machine,
		Source: s.Source, BootID: s.BootID, Missing: s.Missing, Phases: s.Phases})
}

func (r *Recorder) put(l *line) error {
	if r.ended {
		return nil
	}
	l.Schema = Schema
	err := r.encoder.Encode(l)
	if err == nil && r.count.n+r.out.Buffered() > MaxRecord && l.Type != "end" {
		r.full = true
		l = &line{Schema: Schema, Type: "full"}
		err = r.encoder.Encode(l)
	}
	// Write what has ended at once: it must not be lost in a power cut.
	if err == nil && (l.Type != "event" && l.Type != "phase" || l.Kind == "load-end" || l.Kind == "request-end" || r.out.Available() < 1024) {
		err = r.out.Flush()
	}
	if r.ended = err != nil || l.Type == "full" || l.Type == "end"; err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	return nil
}

// Full tells whether the record has got as large as one may: it has all that it was told so far, and takes no more.
func (r *Recorder) Full() bool { return r.full }

// Unasked is of how many requests and loads the record does not say who they are by, because too many came at once.
func (r *Recorder) Unasked() uint64 { return r.who.unasked }

func (a *asker) whoIs(e *bpf.Event) *Who {
	if a.who == nil {
		return nil
	}
	a.asked = max(a.asked, e.At)
	if a.asked-e.At >= whoAtOnce*whoEvery {
		a.unasked++
		return nil
	}
	a.asked += whoEvery
	return a.who(e)
}

// Event adds what a source told.
func (r *Recorder) Event(e *bpf.Event) error {
	if r.ended || !recorded(e) {
		return nil
	}
	return r.put(eventLine(e, &r.who))
}

// recorded tells whether an event is of a load or a request. Tasks that descend from a request say so by their Ctx.
func recorded(e *bpf.Event) bool {
	switch e.Kind {
	case 0, bpf.Fork, bpf.Exec, bpf.Exit, bpf.Lock:
		return false
	}
	return true
}

func eventLine(e *bpf.Event, who *asker) *line {
	l := &line{Type: "event", At: e.At.Nanoseconds(), Kind: e.Kind.String(), ID: ID(e.ID), Peer: ID(e.Peer), Ctx: ID(e.Ctx), PID: e.TGID, TID: e.TID,
		How: e.How, Cert: uint32(e.Cert), Ret: e.Ret, Cgroup: e.Cgroup, Comm: e.Comm, Name: e.Name}
	if e.Kind == bpf.Request || e.Kind == bpf.LoadBegin {
		l.Who = who.whoIs(e)
	}
	return l
}

// Phase adds what took a load long.
func (r *Recorder) Phase(p *bpf.Phase) error {
	return r.put(&line{Type: "phase", At: p.To.Nanoseconds(), Begin: p.From.Nanoseconds(), TID: p.TID, What: p.What})
}

// Finding adds that a load waits for itself.
func (r *Recorder) Finding(f *live.Finding) error {
	return r.put(findingLine(f))
}

func findingLine(f *live.Finding) *line {
	return &line{Type: "finding", At: f.At.Nanoseconds(), Kind: f.Kind.String(), ID: ID(f.Load), Cert: uint32(f.Certainty), PID: uint32(f.Victim()), TID: uint32(f.TID),
		Comm: f.Comm, Name: f.Module, Ret: max(f.Sent, 0)}
}

// Lost adds that events were lost.
func (r *Recorder) Lost(n uint64) error { return r.put(&line{Type: "lost", Events: n}) }

// End ends the record.
func (r *Recorder) End(at time.Duration) error {
	return r.put(&line{Type: "end", At: at.Nanoseconds()})
}

var kinds = func() map[string]bpf.Kind {
	m := make(map[string]bpf.Kind)
	for k := bpf.Request; k <= bpf.Exit; k++ {
		m[k.String()] = k
	}
	return m
}()

// DefaultRecord is where log and why look, and where safeload-watch.service can be told to write (docs/pictures.md).
const DefaultRecord = "/run/safeload-watch.jsonl"

// Read reads a record. One that was cut short, as by a power cut, is read as far as it goes: see [Timeline.Whole].
func Read(in io.Reader) (*Timeline, error) {
	t := newTimeline()
	err := t.read(in)
	if err != nil {
		return nil, err
	}
	t.finish()
	return t, nil
}

// mostLine is how long a line is at the most. Those that a Recorder writes are far shorter: who somebody is, with the names of
// 32 ancestors and the path of a cgroup, is the longest part.
const mostLine = 256 << 10

// read takes all lines of a record in. It needs no more memory for one than a line that a Recorder may have written.
func (t *Timeline) read(in io.Reader) error {
	lines := bufio.NewScanner(io.LimitReader(in, mostRead))
	lines.Buffer(nil, mostLine)
	n := 0
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		n++
		var l line
		err := json.Unmarshal(lines.Bytes(), &l)
		var torn *json.SyntaxError // as half a line is, or a tail of zeros, where a file's length had been written, but not all of what is in it
		switch {
		case errors.As(err, &torn) && n > 1:
			return nil
		case err != nil:
			return fmt.Errorf("read the record: object %d: %w", n, err)
		case l.Schema != Schema:
			return fmt.Errorf("read the record: object %d: schema %d, this program knows %d", n, l.Schema, Schema)
		case n == 1 && (l.Type != "start" || l.Release == ""):
			return errors.New("read the record: it does not begin as one: safeload watch --record FILE writes it, --json something else")
		}
		l.Who.bound()
		t.take(&l)
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("read the record: object %d: its line is longer than any that safeload watch writes", n+1)
	case err != nil:
		return fmt.Errorf("read the record: object %d: %w", n+1, err)
	case n == 0:
		return errors.New("read the record: it is empty; safeload watch --record FILE writes one")
	}
	return nil
}
