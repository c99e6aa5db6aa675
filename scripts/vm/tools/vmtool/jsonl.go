// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"

	"safeload/docs/schema"
)

func init() { tools["jsonl"] = jsonl }

// jsonl holds each object of a file to one of the schemas in docs/schema. What "watch" writes begins with its start, of which
// there is one.
//
//	vmtool jsonl NAME FILE
func jsonl(args []string) int {
	if len(args) != 2 {
		return fatal("jsonl NAME FILE, with a name of %q", schema.Names())
	}
	f, err := os.Open(args[1])
	if err != nil {
		return fatal("%v", err)
	}
	defer f.Close()
	types, err := schema.Check(args[0], f)
	if err != nil {
		return fatal("%s: %v", args[1], err)
	}
	if args[0] == "watch" && (types[0] != "start" || slices.Contains(types[1:], "start")) {
		return fatal("%s: start is to be first, once: %q", args[1], types)
	}
	fmt.Printf("%d objects\n", len(types))
	return 0
}
