// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"golang.org/x/sys/unix"

	"safeload/internal/proc"
)

// Identity is who this invocation is.
type Identity struct {
	Known  bool
	PID    int
	Start  uint64 // 0 without /proc
	Parent string // the token that led to us, unproven
	Depth  int    // how many invocations it says are above us
}

// Identify finds out who this invocation is, once.
func (i *Identity) Identify() {
	if i.Known {
		return
	}
	i.Known = true
	i.PID = unix.Getpid()
	p, err := proc.OpenProc()
	if err != nil {
		i.Parent, i.Depth = EnvToken()
		return
	}
	defer p.Close()
	if s, err := p.ProcessStat(i.PID); err == nil {
		i.Start = s.Start
	}
	// The cgroup is the better witness: a command may have put a variable of
	// another into its environment, or none.
	if i.Parent, i.Depth = CgroupToken(p, i.PID); i.Parent == "" {
		i.Parent, i.Depth = EnvToken()
	}
}
