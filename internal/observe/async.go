// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"strings"

	"safeload/guard/graph"
)

// WhyAsync is why a load waits whose module may be live already: do_init_module ends
// in async_synchronize_full, for every module since 5.17, and what that waits for no
// signal ends.
const WhyAsync = "waits for all functions that were given to async_schedule()"

// asyncWaits adds that wait: for the workers that run such functions. They have a
// queue of their own since 6.9, which a worker bears in its name; before they
// are among those of events_unbound, where it is likely.
func (s *Waits) asyncWaits(g *graph.System, o *Task, how Reading) {
	if !o.Asleep() {
		return
	}
	var own, unbound []graph.ID
	for _, w := range s.busyWorkers {
		switch {
		case strings.HasSuffix(w.Comm, "+async"):
			own = append(own, graph.ID(w.TID))
		case len(s.Children[w.PID]) > 0 || !strings.Contains(w.Comm, "+events_unb"): // names are cut
		default:
			unbound = append(unbound, graph.ID(w.TID))
		}
	}
	if len(own) == 0 && how != Exact {
		g.Add(graph.ID(o.TID), graph.Wait{For: unbound, Certainty: graph.Likely, Why: WhyAsync})
		return
	}
	// One alone is what is waited for. Of several some may be of a domain that is not
	// (ASYNC_DOMAIN_EXCLUSIVE).
	w := graph.Wait{For: own, Certainty: graph.Likely, Why: WhyAsync}
	if len(own) == 1 {
		w.Certainty = graph.Certain
	}
	if how != Exact || w.Certainty == graph.Certain {
		g.Add(graph.ID(o.TID), w)
	}
}
