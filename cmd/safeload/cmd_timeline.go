// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"os"

	"safeload/internal/plain"
	"safeload/internal/terminal"
	"safeload/timeline"
)

func runTimeline(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("timeline", flag.ContinueOnError)
	asHTML := flags.Bool("html", false, "write one HTML file; the default, but not on a terminal")
	asSVG := flags.Bool("svg", false, "write one picture, without search and tables")
	asText := flags.Bool("text", false, "write text")
	asJSON := flags.Bool("json", false, "one JSON object a line")
	if code, done := parse(flags, args, stdout, stderr); done {
		return code
	}
	switch {
	case flags.NArg() > 1:
		return misused("timeline", stderr, "it takes one record, not %d", flags.NArg())
	case several(*asHTML, *asSVG, *asText, *asJSON):
		return misused("timeline", stderr, "one of --html, --svg, --text and --json")
	}
	in := io.Reader(os.Stdin)
	if name := flags.Arg(0); name != "" && name != "-" {
		f, err := openRecord(name)
		if err != nil {
			plain.Fprintf(stderr, "safeload: timeline: %v\n", err)
			return exitError
		}
		defer f.Close()
		in = f
	} else if name == "" && terminal.Is(os.Stdin) {
		return misused("timeline", stderr, "a record is missing; safeload watch --record FILE writes one")
	}
	t, err := timeline.Read(in)
	if err != nil {
		plain.Fprintf(stderr, "safeload: timeline: %v\n", err)
		return exitError
	}
	tree := timeline.OpenTree(t.Start.Release)
	tree.Explain(t)
	tree.Close()
	switch {
	case *asJSON:
		err = timeline.WriteJSON(stdout, t)
	case *asSVG:
		err = timeline.WriteSVG(stdout, t)
	case *asText, !*asHTML && terminal.Is(stdout):
		err = timeline.WriteText(stdout, t)
	default:
		err = timeline.WriteHTML(stdout, t)
	}
	if err != nil {
		plain.Fprintf(stderr, "safeload: timeline: cannot write: %v\n", err)
		return exitError
	}
	return exitOK
}
