// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"

	"safeload/guard/observe/observetest"
)

// system is a made-up machine with what this package's tests do to it.
type system struct{ *observetest.Machine }

func newSystem(t testing.TB) *system { return &system{observetest.New(t)} }
