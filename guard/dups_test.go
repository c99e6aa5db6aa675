// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"

	"safeload/internal/observe/observetest"
)

const dupWait = "kmod_dup_request_exists_wait"

// Who waits for a load whose init repeats a request is not refused: which request
// that is nobody knows.
func TestDuplicateRefusesNobody(t *testing.T) {
	s := newSystem(t)
	s.SetComing("a")
	s.AddTask(100, 50, 'D', observetest.Plain, 500, observetest.Request, s.Call(0))
	s.AddLoad(200, s.AddHelperWorker(200), 510, "a", dupWait)
	s.AddTask(101, 50, 'D', observetest.Plain, 515, observetest.Request, s.Call(0))
	s.AddWaiter(300, s.AddHelperWorker(300), 520, "a")
	if proven, likely := s.judge(300, nil); proven || likely {
		t.Errorf("proven %v, likely %v, want neither", proven, likely)
	}
}
