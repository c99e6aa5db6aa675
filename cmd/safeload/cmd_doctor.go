// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"io"

	"safeload/bpf"
	"safeload/doctor"
	"safeload/guard/survey"
	"safeload/internal/plain"
)

func runDoctor(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("doctor", flag.ContinueOnError)
	asJSON := fs.Bool("json", false, "print one JSON object")
	verbose := fs.Bool("v", false, "print also each hook that is there, and what each finding rests on")
	probe := fs.Bool("probe", false, "load the probe and remove it at once, to see whether the kernel takes it (root)")
	if code, done := parse(fs, args, stdout, stderr); done {
		return code
	}
	if fs.NArg() > 0 {
		return misused("doctor", stderr, "it takes no argument, not %q", fs.Arg(0))
	}
	o := doctor.Options{Look: func() (*survey.Survey, error) {
		sv, err := survey.Examine(surveyOptions())
		if err == nil {
			sv.LeaveUndecided()
		}
		return sv, err
	}}
	if *probe {
		o.TryProbe, o.TryLocks = tryProbe, tryLocks
	}
	r := doctor.Examine(o)
	err := error(nil)
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(r)
	} else {
		err = r.Print(stdout, *verbose)
	}
	if err != nil {
		plain.Fprintf(stderr, "safeload: print the report: %v\n", err)
		return exitError
	}
	if len(r.Dead)+len(r.Hangs)+len(r.Likely) > 0 {
		return exitFound
	}
	if r.Failed() {
		return exitError
	}
	return exitOK
}

func tryLocks() error {
	l, err := openLocks()
	if err == nil {
		l.Close()
	}
	return err
}

func tryProbe() ([]string, error) {
	p, err := bpf.Open(bpf.Options{})
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.Missing(), nil
}
