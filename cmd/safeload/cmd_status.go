// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"io"

	"safeload/guard/report"
	"safeload/guard/survey"
	"safeload/internal/plain"
)

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
	sv, err := survey.Examine(surveyOptions())
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot read the system's tasks: %v; that needs root, and a procfs\n", err)
		return exitError
	}
	for _, f := range sv.Faults {
		plain.Fprintf(stderr, "safeload: %s\n", f)
	}
	switch {
	case *asSVG:
		err = report.SVG(stdout, sv)
	case *asDot:
		report.Dot(stdout, sv)
	case *asJSON:
		if err = report.JSON(stdout, sv); err == nil {
			err = errors.Join(report.VerdictsJSON(stdout, survey.ReadVerdicts("")), probeAsJSON(stdout))
		}
	default:
		report.Status(stdout, sv, survey.ReadVerdicts(""))
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
