// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"safeload/guard/graph"
	"safeload/internal/kmsg"
	"safeload/internal/proc"
)

// Refused says that a load was not submitted, because it would have waited for
// itself.
type Refused struct {
	Module    string
	Request   string
	PID       int  // the one refused
	Owner     int  // the process whose load of Module waits for it
	Suspected bool // on evidence and patience, not on proof
	Chain     graph.Chain

	// By is the process that has ended PID, when that is no safeload and was
	// waiting already; else 0.
	By int
	// Command is "install" or "remove" when it is not a load that was refused,
	// but a command of Module that leads back to itself.
	Command string

	// Dead says that nobody runs the init of Module any more: an oops has ended
	// the thread that did, and Module stays coming until the next boot.
	Dead bool
}

// Error is the one line of the report, without a newline and safe to print.
func (r *Refused) Error() string {
	head := "safeload: refused " + safe(r.Module) + " (request " + safe(r.Request) + "): "
	owner := proc.Itoa(r.Owner)
	if r.Command != "" {
		return head + "its " + r.Command + " command leads back to itself: pid " + owner +
			" runs it already and waits for this request: " + r.chain()
	}
	if r.Dead {
		return head + "nobody runs its init any more, an oops has ended the task that did (see the kernel's log); reboot to load it"
	}
	if r.Suspected {
		head += "suspected, nothing has moved: "
	}
	head += "pid " + proc.Itoa(r.PID)
	if r.By != 0 {
		head += ", of a command that pid " + proc.Itoa(r.By) + " runs, is ended: it"
	}
	return head + " would wait for pid " + owner + ", which loads it and waits for this request: " + r.chain()
}

// chain is the chain, from who is refused back to him.
func (r *Refused) chain() string {
	text := ""
	for _, h := range r.Chain {
		text += proc.Itoa(h.PID)
		if h.TID != h.PID {
			text += " thread " + proc.Itoa(h.TID)
		}
		text += " (" + safe(h.Comm)
		if h.Module != "" {
			text += " " + safe(h.Module)
		}
		text += ") -> "
	}
	return text + proc.Itoa(r.PID)
}

func safe(s string) string { return string(kmsg.AppendSafe(nil, s)) }
