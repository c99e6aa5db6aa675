// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

func init() {
	tools["repeat"] = repeat
}

// repeat runs a command again and again, one run after the other, counts the exit codes and measures: every
// 25 runs it says how far it is, and the last line has the median and the longest run. It exits with 0 if each run had the exit code that is wanted.
//
//	vmtool repeat [-n RUNS] [-limit SECONDS] [-want CODE] -- COMMAND...
func repeat(args []string) int {
	fs := flag.NewFlagSet("repeat", flag.ContinueOnError)
	n := fs.Int("n", 10, "runs")
	limit := fs.Int("limit", 600, "seconds after which to stop short, which is a failure")
	want := fs.Int("want", 0, "exit code of each run")
	if fs.Parse(args) != nil || fs.NArg() == 0 {
		return 2
	}
	start := time.Now()
	codes := map[int]int{}
	var took []time.Duration
	for len(took) < *n && time.Since(start) < time.Duration(*limit)*time.Second {
		c := exec.Command(fs.Arg(0), fs.Args()[1:]...)
		began := time.Now()
		out, err := c.CombinedOutput()
		took = append(took, time.Since(began))
		if c.ProcessState == nil {
			return fatal("repeat: %v", err)
		}
		code := c.ProcessState.ExitCode()
		if codes[code]++; code != *want && len(took)-codes[*want] <= 3 {
			fmt.Printf("run %d: exit code %d\n%s\n", len(took), code, bytes.TrimSpace(out))
		}
		if len(took)%25 == 0 && len(took) < *n {
			fmt.Printf("so far %d as-wanted %d seconds %.0f\n", len(took), codes[*want], time.Since(start).Seconds())
		}
	}
	slices.Sort(took)
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	fmt.Printf("runs %d as-wanted %d median-ms %d longest-ms %d seconds %.0f\n",
		len(took), codes[*want], ms(took[len(took)/2]), ms(took[len(took)-1]), time.Since(start).Seconds())
	if codes[*want] != *n {
		return 1
	}
	return 0
}
