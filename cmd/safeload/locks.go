// SPDX-License-Identifier: Apache-2.0

package main

import (
	"safeload/finit/unpack"
	"safeload/guard/survey"
	"safeload/internal/locks"
	"safeload/watch"
)

// surveyOptions are what status and diagnose look with.
func surveyOptions() survey.Options {
	return survey.Options{Unpack: unpack.InProcess, Locks: openLocks}
}

func openLocks() (survey.Locks, error) {
	s, err := locks.Open()
	if err != nil {
		return nil, err
	}
	return kernelLocks{s}, nil
}

// kernelLocks is the locks of the running kernel, in the words of a survey.
type kernelLocks struct{ *locks.Source }

func (k kernelLocks) Of(pid, tid int) (survey.Holding, bool) { return watch.Held(k.Source, pid, tid) }
