// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/conf"
)

// Each advice is right for what it is printed for, and there is none where none
// is known.
func TestForGood(t *testing.T) {
	kmod := &survey.Seen{PID: 200, Comm: "modprobe", Call: "finit_module"}
	refuse := conf.Settings{Patience: 10 * time.Second}
	for name, tt := range map[string]struct {
		f      graph.Finding
		waiter *survey.Seen
		helper helper
		want   string
	}{
		"not installed":                   {graph.Finding{}, kmod, helper{"/sbin/modprobe", false, refuse}, "safeload install"},
		"it is about to refuse":           {graph.Finding{Ours: true}, nil, helper{"/sbin/modprobe", true, refuse}, ""},
		"installed, another modprobe":     {graph.Finding{}, kmod, helper{"/lib/safeload/modprobe", true, refuse}, "have /lib/safeload/modprobe called where pid 200 was"},
		"installed, udev loads by itself": {graph.Finding{}, &survey.Seen{PID: 200, Comm: "(udev-worker)", Call: "finit_module"}, helper{"/sbin/modprobe", true, refuse}, ""},
		"policy off":                      {graph.Finding{}, kmod, helper{"/sbin/modprobe", true, conf.Settings{Policy: conf.Off}}, "which says off"},
		"policy observe":                  {graph.Finding{}, kmod, helper{"/sbin/modprobe", true, conf.Settings{Policy: conf.Observe}}, "which says observe"},
		"likely, policy proven":           {graph.Finding{Certainty: graph.Likely}, kmod, helper{"/sbin/modprobe", true, conf.Settings{Policy: conf.Proven, Patience: 1}}, "only what is proven"},
		"exempt":                          {graph.Finding{Module: "m"}, kmod, helper{"/sbin/modprobe", true, conf.Settings{Exempt: []string{"m"}, Patience: 1}}, "take m out"},
	} {
		if name != "likely, policy proven" {
			tt.f.Certainty = graph.Certain
		}
		got := advice(tt.f, tt.waiter, tt.helper)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
