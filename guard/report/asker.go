// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"

	"safeload/guard/graph"
	"safeload/guard/survey"
	"safeload/internal/observe"
	"safeload/internal/plain"
)

// freeAsker says what frees a circle in which no load waits for another: no signal
// reaches the load there, and SIGKILL alone who asked.
func freeAsker(f graph.Finding) string {
	switch {
	case f.Kind == graph.Async:
		return "nothing can. The module may be live already; its load hangs, and every later load behind it, until a reboot"
	case f.Asker == 0:
		return "nothing that can be seen from here"
	case f.Kernel:
		return fmt.Sprintf("nothing can. Who asked is a kernel thread (%d), which no signal reaches: only a reboot", f.Asker)
	case f.Certainty != graph.Certain:
		return fmt.Sprintf("not known. Pid %d asked, and may hold what the load waits for, or somebody else does who is only slow: look again; if nothing has moved, its end by SIGKILL may free both", f.Asker)
	}
	return fmt.Sprintf("kill -KILL %d   (who asked: the request fails, and what he holds he gives back. No signal reaches the load)", f.Asker)
}

// printBehind names the loads that wait for the same async functions as one on a
// circle, and are on none.
func printBehind(w io.Writer, sv *survey.Survey, inCircle map[int]bool) {
	async := false
	for _, f := range sv.Findings {
		async = async || f.Kind == graph.Async
	}
	if !async {
		return
	}
	tasks := make(map[int]*survey.Seen)
	for i := range sv.Tasks {
		tasks[sv.Tasks[i].TID] = &sv.Tasks[i]
	}
	for _, e := range sv.Edges {
		if t := tasks[e.From]; t != nil && e.Why == observe.WhyAsync && !inCircle[e.From] {
			plain.Fprintf(w, "\nHangs behind that: the load of %s, %s\n", printable(t.Module), title(t))
		}
	}
}
