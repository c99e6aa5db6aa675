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
	b := append(make([]byte, 0, 256), "safeload: refused "...)
	b = kmsg.AppendSafe(b, r.Module)
	b = append(b, " (request "...)
	b = kmsg.AppendSafe(b, r.Request)
	b = append(b, "): "...)
	if r.Command != "" {
		b = append(append(b, "its "...), r.Command...)
		b = append(b, " command leads back to itself: pid "...)
		b = append(append(b, proc.Itoa(r.Owner)...), " runs it already and waits for this request: "...)
		return string(r.appendChain(b))
	}
	if r.Dead {
		return string(append(b, "nobody runs its init any more, an oops has ended the task that did (see the kernel's log); reboot to load it"...))
	}
	if r.Suspected {
		b = append(b, "suspected, nothing has moved: "...)
	}
	b = append(append(b, "pid "...), proc.Itoa(r.PID)...)
	if r.By != 0 {
		b = append(b, ", of a command that pid "...)
		b = append(append(b, proc.Itoa(r.By)...), " runs, is ended: it"...)
	}
	b = append(b, " would wait for pid "...)
	b = append(append(b, proc.Itoa(r.Owner)...), ", which loads it and waits for this request: "...)
	return string(r.appendChain(b))
}

func (r *Refused) appendChain(b []byte) []byte {
	for _, h := range r.Chain {
		b = append(b, proc.Itoa(h.PID)...)
		if h.TID != h.PID {
			b = append(append(b, " thread "...), proc.Itoa(h.TID)...)
		}
		b = append(b, " ("...)
		b = kmsg.AppendSafe(b, h.Comm)
		if h.Module != "" {
			b = append(b, ' ')
			b = kmsg.AppendSafe(b, h.Module)
		}
		b = append(b, ") -> "...)
	}
	return append(b, proc.Itoa(r.PID)...)
}
