// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"testing"

	"safeload/internal/observe/observetest"
	"safeload/internal/proc"
)

// TestHiddenWait: on 32-bit ARM a kretprobe hides where a load waits for another's.
// It waits where somebody else is in the midst of that load, and asks; else it may
// be the one whose init sleeps.
func TestHiddenWait(t *testing.T) {
	for name, tt := range map[string]struct {
		owner, wchan  string
		module        string // that 210 loads
		state         byte
		proven, stuck bool
	}{
		"another asks":                {observetest.Request, "__kretprobe_trampoline", "a", 'S', true, true},
		"as older kernels call it":    {observetest.Request, "kretprobe_trampoline", "a", 'S', true, true},
		"it shows":                    {observetest.Request, fileWait, "a", 'S', true, true},
		"nobody asks":                 {"a_init", "__kretprobe_trampoline", "a", 'S', false, false},
		"another asks, for another's": {observetest.Request, "__kretprobe_trampoline", "b", 'S', false, false},
		"no signal ends its sleep":    {observetest.Request, "__kretprobe_trampoline", "a", 'D', false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.SetComing("a", "b")
			s.AddLoad(100, 50, 500, "a", tt.owner)
			s.AddCommand(200, s.AddHelperWorker(200), 510)
			s.AddLoad(210, 200, 520, tt.module, tt.wchan)
			s.AddTask(210, 200, tt.state, observetest.Plain, 520, tt.wchan, s.Call(proc.FinitModule, 3))
			if proven, likely := s.stuck(100); proven != tt.proven || likely != tt.stuck {
				t.Errorf("proven %v, likely %v, want %v and %v", proven, likely, tt.proven, tt.stuck)
			}
		})
	}
}
