// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"safeload/finit/unpack"
	"safeload/guard/registry"
	"safeload/guard/survey"
	"safeload/internal/plain"
)

func init() {
	commands = append(commands, command{
		name:    "status",
		args:    "[--json | --dot | --svg]",
		summary: "list the loads in flight and who waits for whom",
		run:     runStatus,
	})
}

func runStatus(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "one JSON object a line")
	asDot := flags.Bool("dot", false, "a graph for Graphviz")
	asSVG := flags.Bool("svg", false, "a picture")
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	if flags.NArg() > 0 {
		return misused("status", stderr, "it takes no argument, not %q", flags.Arg(0))
	}
	if *asJSON && *asDot || *asSVG && (*asJSON || *asDot) {
		return misused("status", stderr, "one of --json, --dot and --svg")
	}
	sv, err := survey.Examine(survey.Options{Unpack: unpack.InProcess})
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot look at the system's tasks: %v; a procfs is needed, and root\n", err)
		return exitError
	}
	for _, f := range sv.Faults {
		plain.Fprintf(stderr, "safeload: %s\n", f)
	}
	switch {
	case *asSVG:
		err = writeSVG(stdout, sv)
	case *asDot:
		printDot(stdout, sv)
	case *asJSON:
		if err = surveyJSON(stdout, sv); err == nil {
			err = errors.Join(verdictsAsJSON(stdout, registry.Verdicts("")), probeAsJSON(stdout))
		}
	default:
		printStatus(stdout, sv, registry.Verdicts(""))
		printProbe(stdout)
	}
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot write: %v\n", err)
		return exitError
	}
	if len(sv.Findings)+len(sv.Dead) > 0 {
		return exitFound
	}
	return exitOK
}

// printStatus writes the report for people.
func printStatus(w io.Writer, sv *survey.Survey, verdicts registry.Statistics) {
	if len(sv.Tasks) == 0 {
		fmt.Fprintln(w, "nothing is being loaded")
	}
	printTree(w, sv)
	printDead(w, sv)
	plain.Fprintf(w, "verdicts since boot, where a module was found coming: %d independent, %d went live, %d refused, %d refused on suspicion\n",
		verdicts.Independent, verdicts.WentLive, verdicts.Refused, verdicts.Suspected)
	for _, line := range verdicts.Refusals {
		plain.Fprintf(w, "  %s\n", printable(line))
	}
}

func verdictsAsJSON(w io.Writer, v registry.Statistics) error {
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
