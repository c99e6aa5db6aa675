// SPDX-License-Identifier: Apache-2.0

package survey

import (
	"slices"

	"safeload/internal/observe"
	"safeload/internal/proc"
)

func deadModules(p, sys *proc.FS) []string {
	var names []string
	if sys == nil || !p.Oopsed() {
		return nil
	}
	for _, module := range p.Loading() {
		r := &observe.RollCall{Proc: p, Sys: sys, Module: module}
		if r.Call() == observe.Nobody {
			names = append(names, module)
		}
	}
	slices.Sort(names)
	return names
}

// Dead names the modules of the running system that are coming and whose init
// nobody runs any more, as far as that is certain; root sees it.
func Dead() []string {
	p, err := proc.OpenProc()
	if err != nil {
		return nil
	}
	defer p.Close()
	sys, err := proc.OpenSys()
	if err != nil {
		return nil
	}
	defer sys.Close()
	return deadModules(p, sys)
}
