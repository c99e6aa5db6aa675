// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"safeload/internal/plain"
)

// Entry is one line of a log: a load or a request.
type Entry struct {
	Load    *Load
	Request *Request
}

// Filter says which entries are wanted. The zero value wants all.
type Filter struct {
	Module string // that was loaded, or that a request brought or is named as
	UID    *uint32
	Unit   string // of systemd; with or without its ending
	Since  time.Time
}

// Now is a time by both clocks, and the boot that one of them counts from.
type Now struct {
	Time   time.Time
	Boot   time.Duration
	BootID string // empty: not known
}

// Log reads a record, and tells of each load and request when it ends, by that time; last of those that go on where the record
// ends, as what hangs does. It keeps none of those that have ended.
func Log(in io.Reader, now Now, each func(t *Timeline, e Entry)) error {
	t := newTimeline()
	t.now, t.ended = now, func(e Entry) { each(t, e) }
	if err := t.read(in); err != nil {
		return err
	}
	for _, e := range t.goOn() {
		each(t, e)
	}
	return nil
}

// goOn are the loads and requests that have not ended, the oldest first.
func (t *Timeline) goOn() (left []Entry) {
	for _, o := range t.loads {
		t.until(o, t.stillOn(o.Begin))
		left = append(left, Entry{Load: o})
	}
	for _, q := range t.requests {
		q.End = t.stillOn(q.Begin)
		left = append(left, Entry{Request: q})
	}
	slices.SortFunc(left, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Began(), b.Began()), cmp.Compare(a.id(), b.id()))
	})
	return left
}

// Began is when it began, since boot.
func (e Entry) Began() time.Duration {
	if e.Load != nil {
		return e.Load.Begin
	}
	return e.Request.Begin
}

// Ended is when it ended, since boot; of what goes on the time until which that is known.
func (e Entry) Ended() time.Duration {
	if e.Load != nil {
		return e.Load.End
	}
	return e.Request.End
}

func (e Entry) id() ID {
	if e.Load != nil {
		return e.Load.ID
	}
	return e.Request.ID
}

// When is a time since boot by the clock on the wall. For a record of this boot that is the clock as it goes now: a board
// without a battery for it learns the time long after its first loads. For another it is the clock as it went when the record
// began.
func (t *Timeline) When(at time.Duration) time.Time {
	if t.now.BootID != "" && t.now.BootID == t.Start.BootID {
		return t.now.Time.Add(at - t.now.Boot)
	}
	return t.Start.Time.Add(at - t.Start.Boot)
}

// Wants tells whether an entry is wanted. What has not ended is since any time.
func (f *Filter) Wants(t *Timeline, e Entry) bool {
	who, at, ended := (*Who)(nil), time.Duration(0), false
	if e.Load != nil {
		who, at, ended = e.Load.Who, e.Load.End, e.Load.Ended
		if f.Module != "" && !sameModule(f.Module, e.Load.Module) {
			return false
		}
	} else {
		who, at, ended = e.Request.Who, e.Request.End, e.Request.Ended
		if f.Module != "" && !e.Request.brings(f.Module) {
			return false
		}
	}
	switch {
	case f.UID != nil && (who == nil || who.UID != *f.UID):
	case f.Unit != "" && (who == nil || !sameUnit(f.Unit, who.Unit)):
	case ended && !f.Since.IsZero() && t.When(at).Before(f.Since):
	default:
		return true
	}
	return false
}

// brings tells whether a request is for a module by its name, or has brought it.
func (q *Request) brings(module string) bool {
	if sameModule(module, q.Name) {
		return true
	}
	for _, o := range q.Loads {
		if sameModule(module, o.Module) {
			return true
		}
	}
	return false
}

// sameModule compares names as kmod does: a dash is an underscore. Not by kmod.NormalizeName: a request may be for an alias,
// of which a dot is a part.
func sameModule(a, b string) bool { return underscored(a) == underscored(b) }

// underscored is a module's name as the kernel has it.
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

func sameUnit(want, unit string) bool { return unit == want || strings.HasPrefix(unit, want+".") }

// Text says an entry in one line, with the time.
func (e Entry) Text(t *Timeline) string {
	return t.When(e.Ended()).UTC().Format("2006-01-02T15:04:05.000Z") + " " + e.Message()
}

// Message says an entry in one line.
func (e Entry) Message() string {
	if o := e.Load; o != nil {
		return plain.Sprintf("load %s: %s in %s, by %s[%d]%s%s", o.name(), o.result(), millis(o.Took()), o.Comm, o.TID, place(o.Who), plain.Safe(o.why()))
	}
	q := e.Request
	return plain.Sprintf("request %s: %s in %s, by %s[%d]%s%s", q.name(), q.outcome(), millis(q.End-q.Begin), q.Comm, q.TID, place(q.Who), plain.Safe(q.behalf()))
}

// behalf says for which load a request is made, and by whom that is, if another task asks for it.
func (q *Request) behalf() string {
	o := q.Load
	switch {
	case o == nil:
		return ""
	case o.TID == q.TID:
		return plain.Sprintf(" for the load of %s (%s)", o.name(), q.Via.String())
	}
	return plain.Sprintf(" for the load of %s (%s) by %s[%d]%s", o.name(), q.Via.String(), o.Comm, o.TID, place(o.Who))
}

// why says for whom a module was loaded, and why it.
func (o *Load) why() string {
	q, reason := o.Asked, plain.Safe(o.Why.words())
	switch {
	case q == nil && reason == "":
		return ""
	case q == nil:
		return plain.Sprintf("; %s", reason)
	case sameModule(q.Name, o.Module):
		return plain.Sprintf("; %s[%d]%s asked for it by name%s", q.Comm, q.TID, place(q.Who), plain.Safe(q.behalf()))
	case reason != "":
		reason = ": " + reason
	}
	return plain.Sprintf("; %s[%d]%s asked for %s%s%s", q.Comm, q.TID, place(q.Who), q.name(), plain.Safe(q.behalf()), reason)
}

// place is who somebody is, with the processes that he descends from.
func place(w *Who) string {
	s := w.String()
	if s == "" {
		return ""
	}
	if d := w.descent(); d != "" {
		s += "; " + d
	}
	return " (" + s + ")"
}

type askedJSON struct {
	Name string     `json:"name"`
	PID  uint32     `json:"pid"`
	TID  uint32     `json:"tid"`
	Comm string     `json:"comm"`
	Who  *Who       `json:"who,omitempty"`
	Via  string     `json:"via"`
	For  string     `json:"for_load_of,omitempty"`
	By   *actorJSON `json:"for_load_by,omitempty"`
}

// actorJSON is a task.
type actorJSON struct {
	PID  uint32 `json:"pid"`
	TID  uint32 `json:"tid"`
	Comm string `json:"comm"`
	Who  *Who   `json:"who,omitempty"`
}

// behalfJSON is for which load a request is made, and by whom that is.
func (q *Request) behalfJSON() (module string, by *actorJSON) {
	if q.Load == nil {
		return "", nil
	}
	return q.Load.Module, &actorJSON{q.Load.PID, q.Load.TID, q.Load.Comm, q.Load.Who}
}

type entryJSON struct {
	Schema int         `json:"schema"`
	Type   string      `json:"type"`
	ID     ID          `json:"id"`
	Time   string      `json:"time"`
	Boot   int64       `json:"boot_us"`
	Module string      `json:"module,omitempty"`
	Name   *string     `json:"name,omitempty"`
	PID    uint32      `json:"pid"`
	TID    uint32      `json:"tid"`
	Comm   string      `json:"comm"`
	Who    *Who        `json:"who,omitempty"`
	Took   int64       `json:"took_us"`
	Ret    *int32      `json:"ret,omitempty"`
	Ended  bool        `json:"ended"`
	Asked  *askedJSON  `json:"asked,omitempty"`
	Why    *reasonJSON `json:"why,omitempty"`
	Via    string      `json:"via,omitempty"`
	For    string      `json:"for_load_of,omitempty"`
	By     *actorJSON  `json:"for_load_by,omitempty"`
	Loads  []string    `json:"loads,omitempty"`
}

// JSON is an entry as one object.
func (e Entry) JSON(t *Timeline) ([]byte, error) {
	stamp := func(at time.Duration) (string, int64) {
		return t.When(at).UTC().Format(time.RFC3339Nano), at.Microseconds()
	}
	if o := e.Load; o != nil {
		j := entryJSON{Schema: Schema, Type: "load", ID: o.ID, Module: o.Module, PID: o.PID, TID: o.TID, Comm: o.Comm, Who: o.Who, Took: o.Took().Microseconds(), Ret: &o.Ret, Ended: o.Ended}
		j.Time, j.Boot = stamp(o.End)
		j.Why = o.Why.json()
		if q := o.Asked; q != nil {
			a := askedJSON{Name: q.Name, PID: q.PID, TID: q.TID, Comm: q.Comm, Who: q.Who, Via: q.Via.String()}
			a.For, a.By = q.behalfJSON()
			j.Asked = &a
		}
		return json.Marshal(j)
	}
	q := e.Request
	j := entryJSON{Schema: Schema, Type: "request", ID: q.ID, Name: &q.Name, PID: q.PID, TID: q.TID, Comm: q.Comm, Who: q.Who, Took: (q.End - q.Begin).Microseconds(), Via: q.Via.String(), Ended: q.Ended}
	j.Time, j.Boot = stamp(q.End)
	j.For, j.By = q.behalfJSON()
	if q.Told {
		j.Ret = &q.Ret
	}
	for _, o := range q.Loads {
		j.Loads = append(j.Loads, o.Module)
	}
	return json.Marshal(j)
}
