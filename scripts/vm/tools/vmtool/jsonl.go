// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

func init() { tools["jsonl"] = jsonl }

// What every object of a type has, in "safeload watch --json".
var watchFields = map[string][]string{
	"start":   {"source", "missing", "unavailable"},
	"finding": {"certainty", "module", "how", "pid", "tid", "comm", "cgroup", "token", "boot_ns", "chain"},
	"signal":  {"module", "pid", "tid", "comm", "signal"},
	"freed":   {"module", "pid", "tid", "comm", "after_us", "ret"},
	"load":    {"module", "pid", "tid", "comm", "cgroup", "took_us", "ret"},
	"request": {"name", "pid", "tid", "comm", "via", "child", "took_us"},
	"lost":    {"events"},
	"end":     {"findings", "lost", "slowest_us"},
}

// jsonl reads a file of what "safeload watch --json" says and checks each line
// against schema 1.
func jsonl(args []string) int {
	if len(args) != 1 {
		return fatal("jsonl FILE")
	}
	f, err := os.Open(args[0])
	if err != nil {
		return fatal("%v", err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	n := 0
	for sc.Scan() {
		n++
		var o map[string]any
		if err := json.Unmarshal(sc.Bytes(), &o); err != nil {
			return fatal("%s:%d: %v: %s", args[0], n, err, sc.Bytes())
		}
		kind, _ := o["type"].(string)
		want, ok := watchFields[kind]
		if !ok {
			return fatal("%s:%d: type %v", args[0], n, o["type"])
		}
		if o["schema"] != 1.0 {
			return fatal("%s:%d: schema %v", args[0], n, o["schema"])
		}
		for _, field := range append(slices.Clone(want), "time") {
			if v, ok := o[field]; !ok || v == nil {
				return fatal("%s:%d: %s without %s", args[0], n, kind, field)
			}
		}
		if (n == 1) != (kind == "start") {
			return fatal("%s:%d: start is first, once; this is %s", args[0], n, kind)
		}
	}
	if err := sc.Err(); err != nil || n == 0 {
		return fatal("%s: %d lines, %v", args[0], n, err)
	}
	fmt.Printf("%d objects\n", n)
	return 0
}
