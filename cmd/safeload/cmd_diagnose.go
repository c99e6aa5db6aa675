// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"

	"safeload/bpf"
	"safeload/guard/report"
	"safeload/guard/survey"
	"safeload/internal/plain"
)

func runDiagnose(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("diagnose", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "one JSON object a line")
	asDot := flags.Bool("dot", false, "a graph for Graphviz")
	asSVG := flags.Bool("svg", false, "a picture")
	free := flags.Bool("free", false, "end the one load whose failing costs least")
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	if flags.NArg() > 0 {
		return misused("diagnose", stderr, "it takes no argument, not %q", flags.Arg(0))
	}
	if *asJSON && *asDot || *asSVG && (*asJSON || *asDot) {
		return misused("diagnose", stderr, "one of --json, --dot and --svg")
	}
	sv, err := survey.Examine(surveyOptions())
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot read the system's tasks: %v; that needs root, and a procfs\n", err)
		return exitError
	}
	addStacks(sv)
	sv.LeaveUndecided()
	for _, f := range sv.Faults {
		plain.Fprintf(stderr, "safeload: %s\n", f)
	}
	switch {
	case *asJSON:
		err = report.JSON(stdout, sv)
	case *asDot:
		report.Dot(stdout, sv)
	case *asSVG:
		err = report.SVG(stdout, sv)
	default:
		report.Diagnosis(stdout, sv, adviser(sv))
	}
	if err != nil {
		plain.Fprintf(stderr, "safeload: cannot write: %v\n", err)
		return exitError
	}
	if len(sv.Findings)+len(sv.Dead) == 0 {
		return exitOK
	}
	if *free {
		// Standard output has nothing but the report in its format.
		out := stdout
		if *asJSON || *asDot || *asSVG {
			out = stderr
		}
		freeAll(out, sv)
	}
	return exitFound
}

// addStacks reads the stacks of the tasks on a circle with a BPF task iterator
// where /proc does not show them. They are only printed: no finding rests on them.
// The iterator needs the kernel's types (BTF), which take seconds to read on a slow
// machine, so it is not used for loads that are merely slow.
func addStacks(sv *survey.Survey) {
	circle := make(map[int]bool)
	for _, f := range sv.Findings {
		for _, h := range f.Chain {
			circle[h.TID] = true
		}
	}
	var tids []int
	for _, t := range sv.Tasks {
		if circle[t.TID] && t.Stack == "" && t.State != 'R' {
			tids = append(tids, t.TID)
		}
	}
	if len(tids) == 0 {
		return
	}
	stacks, err := bpf.Stacks(tids)
	if err != nil {
		return
	}
	for i := range sv.Tasks {
		if t := &sv.Tasks[i]; t.Stack == "" {
			t.Stack = stacks[t.TID]
		}
	}
}

// freeAll ends the loads that have to fail, and prints what came of it.
func freeAll(w io.Writer, sv *survey.Survey) {
	sv, err := survey.Free(sv, surveyOptions(), func(f survey.Freed) { report.Freed(w, f) })
	if err != nil {
		plain.Fprintf(w, "free: cannot survey again: %v\n", err)
		return
	}
	report.LeftToFree(w, sv)
}
