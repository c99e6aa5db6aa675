// SPDX-License-Identifier: Apache-2.0

// Package doctor reports what a system offers to safeload: how its kernel waits for
// modules, which program it starts for a request, in what state the module tree is,
// what can be observed, and which tier of the guard results.
//
// It changes nothing and loads nothing, except the probe for a moment if told to
// ([Options].TryProbe). It reads everything below a root, and so can examine a
// recorded system too. Most of it needs no privilege. What it lacks the privilege to
// read it calls unknown, never missing.
package doctor

import (
	"runtime"

	"safeload/bpf"
	"safeload/guard/survey"
)

// Level is how good or bad a finding is.
type Level string

const (
	OK      Level = "ok"
	Note    Level = "note"    // worth knowing, nothing to do
	Unknown Level = "unknown" // could not be seen; Why says what stands in the way
	Warn    Level = "warn"    // safeload can do less than it could here
	Bad     Level = "bad"     // module loads fail, or would after the next boot
)

// Check is one finding.
type Check struct {
	Area  string `json:"area"`
	Name  string `json:"name"`
	Level Level  `json:"level"`
	Value string `json:"value"`
	Why   string `json:"why,omitempty"` // what it rests on, what follows
	Fix   string `json:"fix,omitempty"` // what to change
}

// Tier is what the guard can know when a module is found coming.
type Tier string

const (
	// TierProbe: the probe runs, every hop is exact.
	TierProbe Tier = "probe"
	// TierTracefs: a watcher with a tracefs instance sees the hops and can
	// break them; the helper itself has /proc.
	TierTracefs Tier = "tracefs"
	// TierProc: /proc and the registry alone. Recursions and deadlocks are
	// refused, some after patience rather than at once.
	TierProc Tier = "proc"
	// TierNone: loads go as with kmod.
	TierNone Tier = "none"
)

// Report is all findings on one system.
type Report struct {
	Schema int    `json:"schema"`
	Kernel string `json:"kernel"` // as uname -r
	Arch   string `json:"arch"`   // as Go names it
	// Asked says that the kernel starts safeload for its requests.
	Asked bool `json:"asked"`
	// Tier is the one in force, Possible the best that the system allows.
	Tier     Tier `json:"tier"`
	Possible Tier `json:"possible"`
	// Dead are modules that stay coming, as nobody runs their init any more.
	Dead []string `json:"dead,omitempty"`
	// Hangs are loads that wait for themselves, or for what the one who asked for
	// them has: certain ones, as status and diagnose find them.
	Hangs []string `json:"hangs,omitempty"`
	// Likely are those that look so, and may only be slow.
	Likely []string `json:"likely,omitempty"`
	Checks []Check  `json:"checks"`
}

// Options of [Examine].
type Options struct {
	Root string // empty or "/": the running system
	// TryProbe loads and attaches the probe for a moment, and says what the
	// kernel answered; nil leaves it at what can be seen. The strings are
	// what the probe lacks.
	TryProbe func() (missing []string, err error)
	// TryLocks looks whether it can be read who holds a lock; nil leaves that out.
	TryLocks func() error
	// Look says who waits for whom now; nil leaves that out.
	Look func() (*survey.Survey, error)
}

// Examine examines the system.
func Examine(o Options) *Report {
	if o.Root == "" {
		o.Root = "/"
	}
	e := &examination{sys: system{root: o.Root}, o: o, r: &Report{Schema: 1, Arch: runtime.GOARCH}}
	e.r.Kernel, _ = e.sys.line("/proc/sys/kernel/osrelease")
	e.sys.readMounts()
	e.config = e.sys.kernelConfig(e.r.Kernel)
	e.kernel()
	e.helper()
	e.modules()
	e.commands()
	e.security()
	e.observers()
	e.probe()
	e.guard()
	return e.r
}

// Failed reports whether any check is bad.
func (r *Report) Failed() bool {
	for _, c := range r.Checks {
		if c.Level == Bad {
			return true
		}
	}
	return false
}

type examination struct {
	sys    system
	o      Options
	r      *Report
	area   string
	config config

	proc, bpffs, tracefs bool
	whole                bool // the kernel has no loadable modules
	lockdown             string
	hooks                []bpf.HookStatus
	probeWorks           bool
}

func (e *examination) add(l Level, name, value, why, fix string) {
	e.r.Checks = append(e.r.Checks, Check{e.area, name, l, value, why, fix})
}
