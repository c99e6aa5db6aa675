// SPDX-License-Identifier: Apache-2.0

package main

import (
	"safeload/bpf/locks"
	"safeload/finit/unpack"
	"safeload/guard/graph"
	"safeload/guard/observe"
	"safeload/guard/survey"
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

func (k kernelLocks) Of(pid, tid int) (observe.Holding, bool) {
	h, ok := k.Source.Of(locks.Thread{PID: pid, TID: tid})
	if !ok {
		return observe.Holding{}, false
	}
	sure := graph.Certain
	if !h.Kind.Certain() {
		sure = graph.Likely
	}
	return observe.Holding{PID: h.Holder.PID, TID: h.Holder.TID, Kind: h.Kind.String(), Certainty: sure}, true
}
