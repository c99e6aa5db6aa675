// SPDX-License-Identifier: Apache-2.0

package main

import (
	"safeload/finit/unpack"
	"safeload/guard/survey"
	"safeload/internal/locks"
)

// surveyOptions are the options of a survey by status or diagnose.
func surveyOptions() survey.Options {
	return survey.Options{Unpack: unpack.InProcess, Locks: openLocks}
}

func openLocks() (survey.Locks, error) {
	s, err := locks.Open()
	if err != nil { // and s is a nil *locks.Source, not a nil Locks
		return nil, err
	}
	return s, nil
}
