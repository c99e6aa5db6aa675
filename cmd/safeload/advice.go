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

// helper is the program that the kernel starts for a request, with its settings.
type helper struct {
	path     string // empty: not known
	ours     bool   // it is safeload
	settings conf.Settings
}

func currentHelper() helper {
	path, ours := doctor.KernelHelper()
	return helper{path, ours, conf.Read(func(string) {})}
}

// adviser gives [advice] for this system's helper, which it reads only if the
// survey has findings.
func adviser(sv *survey.Survey) func(graph.Finding, *survey.Seen) string {
	var h helper
	if len(sv.Findings) > 0 {
		h = currentHelper()
	}
	return func(f graph.Finding, waiter *survey.Seen) string { return advice(f, waiter, h) }
}

// advice says how to keep the finding from coming again; it is empty where
// nothing is known to help. A blacklist is no advice: it keeps out what is
// requested by an alias, and hardware with it. Nor is a soft dependency: what it
// loads first may request the module itself. The VM case advice tries each line.
func advice(f graph.Finding, waiter *survey.Seen, h helper) string {
	switch {
	case f.Ours:
		return ""
	case f.Kind != graph.Recursion:
		return fmt.Sprintf("a line %s in /etc/modules-load.d   (the module is live, and its init over, before anybody asks for it)", plain.Text(f.Module))
	case !h.ours:
		return "safeload install   (the kernel then starts safeload for requests, which refuses such a one)"
	case h.settings.Policy == conf.Off, h.settings.Policy == conf.Observe:
		return fmt.Sprintf("policy refuse in safeload.conf, which says %s   (safeload is the helper, and lets it wait)", h.settings.Policy)
	case f.Certainty != graph.Certain && (h.settings.Policy == conf.Proven || h.settings.Patience == 0):
		return "policy refuse, and a patience, in safeload.conf   (safeload now refuses only what is proven)"
	case h.settings.Exempts(f.Module):
		return fmt.Sprintf("take %s out of the exempt modules of safeload.conf", plain.Text(f.Module))
	case waiter != nil && waiter.Token == "" && waiter.Call != "" && waiter.Comm == "modprobe" && !waiter.Kernel:
		return fmt.Sprintf("have %s called where pid %d was   (another modprobe runs there, which has no guard)", plain.Text(h.path), waiter.PID)
	}
	return ""
}
