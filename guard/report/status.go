// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"io"

	"safeload/guard/survey"
	"safeload/internal/plain"
)

// Status writes the report for people.
func Status(w io.Writer, sv *survey.Survey, verdicts survey.Verdicts) {
	if len(sv.Tasks) == 0 {
		fmt.Fprintln(w, "nothing is being loaded")
	}
	Tree(w, sv)
	printDead(w, sv)
	plain.Fprintf(w, "verdicts since boot, where a module was found coming: %d independent, %d went live, %d refused, %d refused on suspicion\n",
		verdicts.Independent, verdicts.WentLive, verdicts.Refused, verdicts.Suspected)
	for _, line := range verdicts.Refusals {
		plain.Fprintf(w, "  %s\n", printable(line))
	}
}

// VerdictsJSON writes the verdicts since boot as one object.
func VerdictsJSON(w io.Writer, v survey.Verdicts) error {
	return json.NewEncoder(w).Encode(verdictsJSON{Schema: 1, Type: "verdicts", Independent: v.Independent,
		WentLive: v.WentLive, Refused: v.Refused, Suspected: v.Suspected, Refusals: v.Refusals})
}

type verdictsJSON struct {
	Schema      int      `json:"schema"`
	Type        string   `json:"type"`
	Independent int      `json:"independent"`
	WentLive    int      `json:"went_live"`
	Refused     int      `json:"refused"`
	Suspected   int      `json:"refused_on_suspicion"`
	Refusals    []string `json:"refusals,omitempty"`
}
