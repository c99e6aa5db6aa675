// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
)

// Go's runtime cannot start with so few page faults (an empty program has 150),
// and what answers before it (internal/nowhere) has a dozen.
const runtimeFaults = 60

// questions counts how the program answers what the kernel asks: -q and one
// name.
type questions struct {
	asked, silent, early int
}

// asksQuietly tells whether a run is one that internal/nowhere looks at.
func (c *testCase) asksQuietly() bool {
	a := c.args
	return a[0] == "modprobe" && c.names == 1 && !c.closedStderr && len(a) == 6 && a[1] == "-S" && a[3] == "-q" && a[4] == "--"
}

// count counts a run of our program. What ends in silence was not found, or not
// loaded.
func (q *questions) count(c *testCase, o outcome, faults int64) {
	if !c.asksQuietly() {
		return
	}
	q.asked++
	if o == (outcome{code: 1}) {
		q.silent++
	}
	if faults < runtimeFaults {
		q.early++
	}
}

func (q *questions) add(o questions) {
	q.asked += o.asked
	q.silent += o.silent
	q.early += o.early
}

// report prints the counts, and fails if the program compared is none that
// answers before the runtime: then nothing of that was compared.
func (q *questions) report() error {
	fmt.Printf("  asked as the kernel asks: %d, %d ended with 1 in silence, %d before Go's runtime\n", q.asked, q.silent, q.early)
	if q.asked > 0 && q.early == 0 {
		return fmt.Errorf("no question was answered before Go's runtime: the program is not linked with internal/nowhere's entry")
	}
	return nil
}

// asTheKernel asks for the names that the cases look up once more as the kernel
// does, in the same chroot and tree. What is found cannot be loaded by a user
// without privileges.
func asTheKernel(cases []*testCase) (more []*testCase) {
	seen := map[string]bool{}
	for _, c := range cases {
		if c.asksQuietly() {
			seen[c.root+"\x00"+c.args[2]+"\x00"+c.args[len(c.args)-1]] = true
		}
	}
	for _, c := range cases {
		if c.args[0] != "modprobe" || len(c.args) < 5 || c.args[1] != "-S" {
			continue
		}
		for _, name := range c.lookups() {
			key := c.root + "\x00" + c.args[2] + "\x00" + name
			if !seen[key] {
				seen[key] = true
				more = append(more, &testCase{root: c.root, names: 1, args: []string{"modprobe", "-S", c.args[2], "-q", "--", name}})
			}
		}
	}
	return more
}

// lookups are the names that a case asks for: all with -a, or else the first.
func (c *testCase) lookups() []string {
	args := c.args[3:]
	all := false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		if args[0] == "--" {
			args = args[1:]
			break
		}
		all = all || !strings.HasPrefix(args[0], "--") && strings.Contains(args[0], "a")
		args = args[1:]
	}
	switch {
	case len(args) == 0 || c.names == 0:
		return nil
	case all && c.names > 3:
		// Of a batch of what a tree has, one: each of them is found.
		return args[:1]
	case all:
		return slices.Clone(args)
	}
	return args[:1]
}
