// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"

	"safeload/guard/graph"
	"safeload/guard/observe/observetest"
)

const dupWait = "kmod_dup_request_exists_wait"

// A kernel with MODULE_DEBUG_AUTOLOAD_DUPS starts no helper for a name that is
// being asked for: an init that asks for itself waits for its own helper, and
// nobody is there to be refused.
func TestDuplicates(t *testing.T) {
	for _, c := range []struct {
		name  string
		init  string // where the init of a, which the helper 200 loads, sleeps
		wchan string // where another task sleeps, which asks as well
		want  int    // pid that had best fail; 0: no finding
	}{
		{"an init repeats the request that it runs for", dupWait, "", 200},
		{"another clone of the function", dupWait + ".part.0", "", 200},
		{"a slow init, and one who repeats its request", "msleep", dupWait, 0},
		{"others wait for the request, too", dupWait, dupWait, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystem(t)
			s.SetComing("a")
			s.AddTask(100, 50, 'D', observetest.Plain, 500, observetest.Request, s.Call(0))
			s.AddLoad(200, s.AddHelperWorker(200), 510, "a", c.init)
			if c.wchan != "" {
				s.AddTask(300, 50, 'D', observetest.Plain, 520, c.wchan, s.Call(0))
			}
			s.LastRan(1000, 100, 200, 10200, 300)
			sv := s.survey()
			if c.want == 0 {
				if len(sv.Findings) != 0 {
					t.Errorf("%+v, want none", sv.Findings)
				}
			} else if len(sv.Findings) != 1 || sv.Findings[0].Waiter != c.want || !sv.Findings[0].Signal || sv.Findings[0].Certainty != graph.Certain {
				t.Errorf("%+v, want pid %d", sv.Findings, c.want)
			}
			for _, v := range sv.Tasks {
				if v.TID == 300 && v.Role != RoleDuplicate {
					t.Errorf("300 is %q", v.Role)
				}
			}
		})
	}
}

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
