// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"bufio"
	"encoding/json"
	"io"
	"time"

	"safeload/bpf/live"
)

type waitJSON struct {
	How     string `json:"how"`
	For     string `json:"for,omitempty"`
	ForID   ID     `json:"for_id,omitempty"`
	Begin   int64  `json:"begin_us"`
	Took    int64  `json:"took_us"`
	Request string `json:"request,omitempty"`
}

type loadJSON struct {
	Schema  int         `json:"schema"`
	Type    string      `json:"type"`
	ID      ID          `json:"id"`
	Module  string      `json:"module"`
	PID     uint32      `json:"pid"`
	TID     uint32      `json:"tid"`
	Comm    string      `json:"comm"`
	Who     *Who        `json:"who,omitempty"`
	Begin   int64       `json:"begin_us"`
	Init    *int64      `json:"init_us,omitempty"`
	Took    int64       `json:"took_us"`
	Own     int64       `json:"own_us"`
	Ended   bool        `json:"ended"`
	Ret     int32       `json:"ret"`
	Request ID          `json:"request,omitempty"`
	Why     *reasonJSON `json:"why,omitempty"`
	Found   string      `json:"waits_for_itself,omitempty"`
	Waits   []waitJSON  `json:"waits"`
}

type requestJSON struct {
	Schema int    `json:"schema"`
	Type   string `json:"type"`
	ID     ID     `json:"id"`
	Name   string `json:"name"`
	PID    uint32 `json:"pid"`
	TID    uint32 `json:"tid"`
	Comm   string `json:"comm"`
	Who    *Who   `json:"who,omitempty"`
	Via    string `json:"via"`
	Load   ID     `json:"load,omitempty"`
	Parent ID     `json:"parent,omitempty"`
	Helper uint32 `json:"helper"`
	Begin  int64  `json:"begin_us"`
	Took   int64  `json:"took_us"`
	Ended  bool   `json:"ended"`
	Loads  []ID   `json:"loads"`
}

type stepJSON struct {
	Schema int    `json:"schema"`
	Type   string `json:"type"`
	What   string `json:"what"`
	How    string `json:"how,omitempty"`
	Load   ID     `json:"load,omitempty"`
	Req    ID     `json:"request,omitempty"`
	Module string `json:"module,omitempty"`
	Name   string `json:"name,omitempty"`
	Begin  int64  `json:"begin_us"`
	Took   int64  `json:"took_us"`
}

type dearJSON struct {
	Schema int    `json:"schema"`
	Type   string `json:"type"`
	Load   ID     `json:"load"`
	Module string `json:"module"`
	Own    int64  `json:"own_us"`
	Took   int64  `json:"took_us"`
}

type summaryJSON struct {
	Schema   int      `json:"schema"`
	Type     string   `json:"type"`
	Release  string   `json:"release"`
	Machine  string   `json:"machine"`
	Source   string   `json:"source"`
	Missing  []string `json:"missing"`
	Phases   []string `json:"phases"`
	Time     string   `json:"time"`
	Boot     int64    `json:"boot_us"` // that begin_us counts from
	Took     int64    `json:"took_us"`
	Loads    int      `json:"loads"`
	Requests int      `json:"requests"`
	Lost     uint64   `json:"lost"`
	Whole    bool     `json:"whole"`
}

// WriteJSON writes one object a line: loads, requests, the critical path, what cost most, a summary.
func WriteJSON(w io.Writer, t *Timeline) error {
	b := bufio.NewWriter(w)
	e := json.NewEncoder(b)
	at := func(d time.Duration) int64 { return (d - t.From).Microseconds() }
	var all []any
	for _, o := range t.Loads {
		all = append(all, o.json(at))
	}
	for _, q := range t.Requests {
		all = append(all, q.json(at))
	}
	for _, s := range t.Critical() {
		j := stepJSON{Schema: Schema, Type: "critical", What: s.What, How: s.How, Begin: at(s.From), Took: (s.To - s.From).Microseconds()}
		if s.Load != nil {
			j.Load, j.Module = s.Load.ID, s.Load.Module
		}
		if s.Request != nil {
			j.Req, j.Name = s.Request.ID, s.Request.Name
		}
		all = append(all, j)
	}
	for _, o := range t.Dearest(dearest) {
		all = append(all, dearJSON{Schema, "dearest", o.ID, o.Module, o.Own().Microseconds(), o.Took().Microseconds()})
	}
	missing, told := t.Start.Missing, t.Start.Phases
	if missing == nil {
		missing = []string{}
	}
	if told == nil {
		told = []string{}
	}
	all = append(all, summaryJSON{Schema, "summary", t.Start.Release, t.Start.Machine, t.Start.Source, missing, told, t.Start.Time.UTC().Format(time.RFC3339Nano),
		t.From.Microseconds(), (t.To - t.From).Microseconds(), len(t.Loads), len(t.Requests), t.Lost, t.Whole})
	for _, o := range all {
		if err := e.Encode(o); err != nil {
			return err
		}
	}
	return b.Flush()
}

func (o *Load) json(at func(time.Duration) int64) loadJSON {
	j := loadJSON{Schema: Schema, Type: "load", ID: o.ID, Module: o.Module, PID: o.PID, TID: o.TID, Comm: o.Comm, Who: o.Who, Begin: at(o.Begin),
		Took: o.Took().Microseconds(), Own: o.Own().Microseconds(), Ended: o.Ended, Ret: o.Ret, Waits: []waitJSON{}}
	if o.Init != 0 {
		n := at(o.Init)
		j.Init = &n
	}
	if o.Asked != nil {
		j.Request = o.Asked.ID
	}
	j.Why = o.Why.json()
	if o.Found != 0 {
		j.Found = live.Word(o.Found)
	}
	for _, w := range o.Waits {
		v := waitJSON{How: w.How, Begin: at(w.From), Took: (w.To - w.From).Microseconds()}
		switch {
		case w.Request != nil:
			v.Request, v.ForID = w.Request.Name, w.Request.ID
		case w.For != nil:
			v.For, v.ForID = w.For.Module, w.For.ID
		default:
			v.For = w.Name
		}
		j.Waits = append(j.Waits, v)
	}
	return j
}

func (q *Request) json(at func(time.Duration) int64) requestJSON {
	j := requestJSON{Schema: Schema, Type: "request", ID: q.ID, Name: q.Name, PID: q.PID, TID: q.TID, Comm: q.Comm, Who: q.Who, Via: q.Via.String(),
		Helper: q.Helper, Begin: at(q.Begin), Took: (q.End - q.Begin).Microseconds(), Ended: q.Ended, Loads: []ID{}}
	if q.Load != nil {
		j.Load = q.Load.ID
	}
	if q.Parent != nil {
		j.Parent = q.Parent.ID
	}
	for _, o := range q.Loads {
		j.Loads = append(j.Loads, o.ID)
	}
	return j
}
