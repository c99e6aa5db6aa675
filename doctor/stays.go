// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"os"
	"time"

	"safeload/bpf"
)

// stays reports whether a probe is in the kernel without a process. It returns
// whether any probe, that one or a watch's, serves the guard.
func (e *examination) stays() bool {
	entries, _ := os.ReadDir(e.sys.path(bpf.PinDir))
	if e.sys.root != "/" { // pins of a recorded system cannot be opened
		return len(entries) > 0
	}
	const name = "in the kernel"
	p, err := bpf.Find(bpf.PinDir)
	switch {
	case err != nil:
		e.add(Unknown, name, "unknown", whyNot(err), "")
		return len(entries) > 0
	case p == nil:
		e.add(Note, name, "no probe stays", "safeload watch attaches one for as long as it runs", e.probeFix())
		return len(entries) > 0
	case p.Fault != "":
		e.add(Warn, name, "one that is not used", p.Fault, stayFix)
		return len(entries) > 1
	case p.Full:
		e.add(Warn, name, "one of safeload "+p.Version+", not whole",
			"a map is full, or the kernel did not report a return: what is not in its maps proves nothing until what is being loaded has ended", "")
	case !p.Whole:
		e.add(Warn, name, "one of safeload "+p.Version+", not whole",
			"something in flight began before it: what is not in its maps proves nothing", stayFix)
	default:
		e.add(OK, name, fmt.Sprintf("one of safeload %s, for %v, %d kB of maps", p.Version, p.Age.Round(time.Second), (p.Bytes+1023)/1024), "", "")
	}
	if p.Fulls > 0 && !p.Full {
		e.add(Note, name, fmt.Sprintf("%d times a map had no room for what began", p.Fulls), "what was loaded then was judged as without the probe", "")
	}
	if p.Read {
		e.add(OK, name, "a watch reads from it", "", "")
	}
	for _, m := range p.Missing {
		e.add(Note, name, "it does not see all", m, "")
	}
	return true
}

const stayFix = "safeload probe load"

// probeFix says what to do so that the guard has the probe here.
func (e *examination) probeFix() string {
	v, ok := parseVersion(e.r.Kernel)
	switch {
	case !e.probeWorks:
		return ""
	case ok && v.before(5, 15): // perf links cannot be pinned before
		if e.sys.exists("/usr/lib/systemd/system/safeload-watch.service") {
			return "systemctl enable --now safeload-watch"
		}
		return "safeload watch"
	}
	return stayFix
}
