// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"safeload/finit/unpack"
	"safeload/guard"
	"safeload/internal/plain"
)

func init() {
	commands = append(commands, command{
		name:    "status",
		args:    "[--json]",
		summary: "list the loads in flight and who waits for whom",
		run:     runStatus,
	})
}

func runStatus(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "one JSON object a line")
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	if flags.NArg() > 0 {
		return misused("status", stderr, "it takes no argument, not %q", flags.Arg(0))
	}
	sv, err := guard.Examine(guard.Options{Unpack: unpack.InProcess})
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot look at the system's tasks: %v; a procfs is needed, and root\n", err)
		return exitError
	}
	for _, f := range sv.Faults {
		plain.Fprintf(stderr, "safeload: %s\n", f)
	}
	verdicts := guard.Verdicts("")
	if *asJSON {
		err = surveyJSON(stdout, sv)
		if err == nil {
			err = json.NewEncoder(stdout).Encode(verdictsJSON{Schema: 1, Type: "verdicts", Independent: verdicts.Independent,
				WentLive: verdicts.WentLive, Refused: verdicts.Refused, Suspected: verdicts.Suspected, Refusals: verdicts.Refusals})
		}
		if err != nil {
			plain.Fprintf(stderr, "safeload: cannot write: %v\n", err)
			return exitError
		}
	} else {
		if len(sv.Tasks) == 0 {
			fmt.Fprintln(stdout, "nothing is being loaded")
		}
		printTree(stdout, sv)
		printDead(stdout, sv)
		plain.Fprintf(stdout, "verdicts since boot, where a module was found coming: %d independent, %d went live, %d refused, %d refused on suspicion\n",
			verdicts.Independent, verdicts.WentLive, verdicts.Refused, verdicts.Suspected)
		for _, line := range verdicts.Refusals {
			plain.Fprintf(stdout, "  %s\n", printable(line))
		}
	}
	if len(sv.Findings)+len(sv.Dead) > 0 {
		return exitFound
	}
	return exitOK
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
