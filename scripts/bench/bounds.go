// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The names of what is measured that bounds know.
const (
	absentName = "a name that does not exist"
	peerEmpty  = "empty Go program"
	// peerLate is the helper whose entry always starts Go's runtime.
	peerLate = "no early answer"
)

// What docs/benchmarks.md promises.
const (
	absentToOldKmod = 0.25 // kmod 30 and before, which load libcrypto at each start
	absentToKmod    = 0.40 // newer ones, and what is no release
	absentFaults    = 12
	otherToKmod     = 0.80 // each other question, to kmod's releases
	otherToMaster   = 1.30 // to what is no release
	otherToLate     = 1.10 // what was read in vain before the runtime
)

// missed lists the bounds that measurements of one work do not hold. The first
// measurement is the helper's. A kmod is called "kmod VERSION", or by another
// name if it is no release.
func missed(list []measurement) (bad []string) {
	ours := list[0]
	if ours.Work == absentName && ours.Faults > absentFaults {
		bad = append(bad, fmt.Sprintf("%s: %d page faults, at most %d", ours.Work, ours.Faults, absentFaults))
	}
	for _, m := range list[1:] {
		if most, ok := bound(ours.Work, m.Program); ok && !(m.Ratio <= most) {
			bad = append(bad, fmt.Sprintf("%s: %.3f of the CPU of %s, at most %.2f", ours.Work, m.Ratio, m.Program, most))
		}
	}
	return bad
}

// bound is the most that the helper may take of a program's CPU.
func bound(work, program string) (most float64, ok bool) {
	release := kmodRelease(program)
	switch {
	case program == peerEmpty:
		return 0, false
	case program == peerLate:
		return otherToLate, work != absentName
	case work != absentName && release == 0:
		return otherToMaster, true
	case work != absentName:
		return otherToKmod, true
	case release > 0 && release <= 30:
		return absentToOldKmod, true
	}
	return absentToKmod, true
}

// kmodRelease is the number of a release, 0 for what is none.
func kmodRelease(program string) int {
	version, ok := strings.CutPrefix(program, "kmod ")
	if !ok {
		return 0
	}
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}

// checkable says why measurements cannot be held to the bounds: they need a
// kmod and the name that does not exist.
func checkable(all [][]measurement) error {
	for _, list := range all {
		if list[0].Work == absentName && slices.ContainsFunc(list, func(m measurement) bool { return kmodRelease(m.Program) > 0 }) {
			return nil
		}
	}
	return fmt.Errorf("nothing to hold the bounds to: no release of kmod was measured for %s", absentName)
}
