// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"safeload/bpf/live"
	"safeload/guard/graph"
	"safeload/internal/proc"
	"safeload/internal/registry"
)

// describe looks up what no source tells of the tasks of a finding, while they
// are in their waits: the files that they load, and the guard's tokens.
func describe(f *live.Finding) {
	p, err := proc.OpenProc()
	if err != nil {
		return
	}
	defer p.Close()
	f.Token, _ = registry.CgroupToken(p, f.Victim())
	for i := range f.Chain {
		s := &f.Chain[i]
		if s.FD >= 0 && (s.What == graph.HopLoad || s.What == graph.HopWait) {
			p.Bounded(func(p *proc.FS) {
				if f, err := p.File(s.PID, s.FD); err == nil {
					s.File = f.Path
				}
			})
		}
		if s.Cgroup != 0 {
			s.Token, _ = registry.CgroupToken(p, s.PID)
		}
	}
}
