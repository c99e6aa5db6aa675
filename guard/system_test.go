// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"

	"safeload/guard/graph"
	"safeload/internal/observe"
	"safeload/internal/observe/observetest"
)

// system is a made-up machine with what this package's tests do to it.
type system struct{ *observetest.Machine }

func newSystem(t testing.TB) *system { return &system{observetest.New(t)} }

const fileWait = "idempotent_init_module"

// stuck tells whether a task is in a circle, surely or likely.
func (s *system) stuck(tid int) (proven, likely bool) {
	before, now := s.shoots(func() {})
	in := func(how observe.Reading, least graph.Certainty) bool {
		return len(now.System(how, before).Stuck(least).Knot(graph.ID(tid))) > 0
	}
	return in(observe.Exact, graph.Certain), in(observe.Best, graph.Likely)
}
