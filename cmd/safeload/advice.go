// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"safeload/doctor"
	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/conf"
	"safeload/internal/plain"
)

// asked is who is asked for modules on this system, and what he does.
type asked struct {
	helper   string // whom the kernel starts for a request; empty if that is not known
	ours     bool   // it is safeload
	settings conf.Settings
}

func askedNow() asked {
	path, ours := doctor.KernelHelper()
	return asked{path, ours, conf.Read(func(string) {})}
}

// adviser is [forGood] on this system, which is looked at when there is need.
func adviser(sv *survey.Survey) func(graph.Finding, *survey.Seen) string {
	var s asked
	if len(sv.Findings) > 0 {
		s = askedNow()
	}
	return func(f graph.Finding, waiter *survey.Seen) string { return forGood(f, waiter, s) }
}

// forGood is how to keep it from coming again, empty where nothing is known that
// does. That depends on the module: a blacklist keeps out what was asked for by
// an alias, and hardware with it, and a soft dependency loads before what asks
// in turn for the module itself, so that neither is advice for all. What stands
// here is tried by the VM case advice.
func forGood(f graph.Finding, waiter *survey.Seen, s asked) string {
	switch {
	case f.Ours:
		return ""
	case f.Kind != graph.Recursion:
		return fmt.Sprintf("a line %s in /etc/modules-load.d   (who then asks finds the module live, and its init has been)", plain.Text(f.Module))
	case !s.ours:
		return "safeload install   (the kernel then asks safeload, which refuses such a request)"
	case s.settings.Policy == conf.Off, s.settings.Policy == conf.Observe:
		return fmt.Sprintf("policy refuse in safeload.conf, which says %s   (safeload is asked, and lets it wait)", s.settings.Policy)
	case f.Certainty != graph.Certain && (s.settings.Policy == conf.Proven || s.settings.Patience == 0):
		return "policy refuse, and a patience, in safeload.conf   (it refuses only what is proven now)"
	case s.settings.Exempts(f.Module):
		return fmt.Sprintf("take %s out of the exempt modules of safeload.conf", plain.Text(f.Module))
	case waiter != nil && waiter.Token == "" && waiter.Call != "" && waiter.Comm == "modprobe" && !waiter.Kernel:
		return fmt.Sprintf("have %s called where pid %d was   (that is another modprobe, which asks nobody)", plain.Text(s.helper), waiter.PID)
	}
	return ""
}
