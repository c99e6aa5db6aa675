// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"io"

	"safeload/guard/graph"
	"safeload/guard/survey"
)

type deadJSON struct {
	Schema    int    `json:"schema"`
	Type      string `json:"type"`
	Module    string `json:"module"`
	Certainty string `json:"certainty"`
}

type taskJSON struct {
	Schema    int     `json:"schema"`
	Type      string  `json:"type"`
	Role      string  `json:"role,omitempty"`
	PID       int     `json:"pid"`
	TID       int     `json:"tid"`
	PPID      int     `json:"ppid"`
	Comm      string  `json:"comm"`
	Command   string  `json:"command,omitempty"`
	Kernel    bool    `json:"kernel_thread"`
	State     string  `json:"state"`
	Wchan     string  `json:"wchan,omitempty"`
	Call      string  `json:"call,omitempty"`
	Stack     string  `json:"stack,omitempty"`
	Module    string  `json:"module,omitempty"`
	File      string  `json:"file,omitempty"`
	Initstate string  `json:"initstate,omitempty"`
	Params    string  `json:"params,omitempty"`
	Request   string  `json:"request,omitempty"`
	Token     string  `json:"token,omitempty"`
	Parent    string  `json:"parent_token,omitempty"`
	Depth     int     `json:"depth"`
	Running   float64 `json:"running_s"`
	Asleep    float64 `json:"asleep_s,omitempty"`
	Since     float64 `json:"since_s,omitempty"`
}

type waitJSON struct {
	Schema    int    `json:"schema"`
	Type      string `json:"type"`
	From      int    `json:"from"`
	To        []int  `json:"to_any_of"`
	Certainty string `json:"certainty"`
	Why       string `json:"why"`
}

type findingJSON struct {
	Schema    int       `json:"schema"`
	Type      string    `json:"type"`
	Module    string    `json:"module"`
	Certainty string    `json:"certainty"`
	Waiter    int       `json:"waiter"`
	Signal    bool      `json:"signal_frees"`
	Kind      string    `json:"kind"`
	Asker     int       `json:"asker,omitempty"`
	Chain     []hopJSON `json:"chain"`
}

type hopJSON struct {
	PID       int    `json:"pid"`
	TID       int    `json:"tid"`
	Comm      string `json:"comm"`
	Module    string `json:"module,omitempty"`
	Certainty string `json:"certainty"`
	Why       string `json:"why"`
}

type summaryJSON struct {
	Schema   int      `json:"schema"`
	Type     string   `json:"type"`
	Looked   int      `json:"tasks_looked_at"`
	Took     float64  `json:"took_s"`
	Findings int      `json:"findings"`
	Faults   []string `json:"not_seen,omitempty"`
}

// JSON writes one object a line: tasks, waits, findings, a summary.
// Without the last one nothing found would look like nothing looked at.
func JSON(w io.Writer, sv *survey.Survey) error {
	enc := json.NewEncoder(w)
	for _, t := range sv.Tasks {
		if err := enc.Encode(taskJSON{1, "task", t.Role, t.PID, t.TID, t.PPID, t.Comm, t.Command, t.Kernel, string(t.State),
			t.Wchan, t.Call, t.Stack, t.Module, t.File, t.Initstate, t.Params, t.Request, t.Token, t.Parent, t.Depth,
			t.Running.Seconds(), t.Asleep.Seconds(), t.Since.Seconds()}); err != nil {
			return err
		}
	}
	for _, e := range sv.Edges {
		if err := enc.Encode(waitJSON{1, "wait", e.From, e.To, e.Certainty.String(), e.Why}); err != nil {
			return err
		}
	}
	for _, f := range sv.Findings {
		j := findingJSON{1, "finding", f.Module, f.Certainty.String(), f.Waiter, f.Signal, f.Kind.String(), f.Asker, nil}
		for _, h := range f.Chain {
			j.Chain = append(j.Chain, hopJSON{h.PID, h.TID, h.Comm, h.Module, h.Certainty.String(), h.Why})
		}
		if err := enc.Encode(j); err != nil {
			return err
		}
	}
	for _, m := range sv.Dead {
		if err := enc.Encode(deadJSON{1, "dead", m, graph.Certain.String()}); err != nil {
			return err
		}
	}
	return enc.Encode(summaryJSON{1, "summary", sv.Looked, sv.Took.Seconds(), len(sv.Findings) + len(sv.Dead), sv.Faults})
}
