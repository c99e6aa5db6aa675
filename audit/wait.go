// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"fmt"
	"strings"

	"safeload/internal/plain"
)

// Wait is what the load of a requested module waits for, and what the one who
// requests it does not give before that load is over.
type Wait struct {
	// Kind is "lock", "queue", "async" or "device".
	Kind string `json:"kind"`
	// On is the lock, the queue or work item, or a device of both drivers.
	On string `json:"on"`
	// Module whose load waits, and the Route on which it comes to that.
	Module string   `json:"module"`
	Route  []string `json:"route,omitempty"`
	// Others are further modules that the request may load and that wait alike.
	Others []string `json:"others,omitempty"`
}

// maxOthers of them are told to people.
const maxOthers = 20

// Remedy says what ends such a wait once it is there. A request's wait is killable
// (kernel/module/kmod.c, UMH_KILLABLE), the load's for a lock is not; a kernel thread
// takes no signal.
func (w *Wait) Remedy() string {
	if w.Kind == "queue" || w.Kind == "async" {
		return "nothing but a reboot: who requests is a kernel thread, and the load takes no signal"
	}
	return "SIGKILL to who requests (watch --break=KILL), if that is a process; else nothing but a reboot: the load takes no signal"
}

func (w *Wait) title(h *Hop) string {
	what, who := h.Request, w.Module
	if what == "*" {
		what = "a module of a name that it is given"
	}
	asks := fmt.Sprintf("%s requests %s", h.Module, what)
	if who == "*" {
		who = "each module"
	}
	if len(w.Others) > 0 {
		who = fmt.Sprintf("%s (and %d more)", w.Module, len(w.Others))
	}
	switch w.Kind {
	case "async":
		return fmt.Sprintf("%s in an async function, for whose end the load of %s waits", asks, who)
	case "device":
		return fmt.Sprintf("%s in a probe function, under the lock of a device (%s) that the driver of %s takes", asks, w.On, who)
	case "queue":
		return fmt.Sprintf("%s in a work item, for whose end (%s) the init of %s waits", asks, w.On, who)
	}
	return fmt.Sprintf("%s while it holds %s, which the init of %s takes", asks, w.On, who)
}

// says are the lines about it for people.
func (w *Wait) says() []string {
	who := "the load of " + w.Module
	if w.Module == "*" {
		who = "each load"
	}
	lines := []string{fmt.Sprintf("%s waits: %s", clean(who), clean(strings.Join(w.Route, " -> ")))}
	if len(w.Others) > 0 {
		lines = append(lines, "so does that of "+clean(strings.Join(w.Others[:min(len(w.Others), maxOthers)], ", ")))
	}
	return append(lines, "what frees it: "+w.Remedy())
}

func (w *Wait) write(b *bufio.Writer) {
	for i, l := range w.says() {
		head := [...]string{"waits   ", "        "}[min(i, 1)]
		plain.Fprintf(b, "    %s %s\n", head, l)
	}
}
