// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"strings"

	"safeload/bpf"
	"safeload/internal/kallsyms"
)

// probe reports on each hook of the probe.
func (e *examination) probe() {
	e.area = "probe"
	var err error
	if e.hooks, err = bpf.Survey(e.sys.path(kallsyms.Path), e.sys.path(e.sys.tracefs())); err != nil {
		e.add(Unknown, "hooks", "unknown", "/proc/kallsyms: "+whyNot(err), "")
		return
	}
	if !e.tracefs {
		e.add(Unknown, "tracepoints", "unknown", "they are seen in tracefs, by root", "")
	}
	works := e.tracefs && e.lockdown != "confidentiality"
	for _, h := range e.hooks {
		name := h.Program + ", " + h.Kind
		switch {
		case h.Kind == "tracepoint" && !e.tracefs:
			// said once, above
		case h.Missing == "":
			e.add(OK, name, h.At, "", "")
		case h.Required:
			works = false
			e.add(Warn, name, h.At+" is missing", h.Missing+": the probe needs it", "")
		default:
			e.add(Note, name, h.At+" is missing", h.Missing+"; not seen: "+h.Without, "")
		}
	}
	e.probeWorks = works && e.bpfSyscall()
	e.locks()
	if e.o.TryProbe == nil {
		return
	}
	switch missing, err := e.o.TryProbe(); {
	case err != nil:
		e.probeWorks = false
		e.add(Warn, "tried", "it does not attach", err.Error(), "")
	case len(missing) > 0:
		e.probeWorks = true
		e.add(Note, "tried", "it attaches, without "+strings.Join(missing, "; "), "", "")
	default:
		e.probeWorks = true
		e.add(OK, "tried", "it attaches, whole", "", "")
	}
}

// locks reports whether status, diagnose and watch can tell who holds a lock that a
// load waits for.
func (e *examination) locks() {
	if e.o.TryLocks == nil {
		return
	}
	const name = "holders of locks"
	if err := e.o.TryLocks(); err != nil {
		e.add(Note, name, "not seen", err.Error()+"; diagnose guesses them where /proc/PID/stack shows a wait for a lock", "")
		return
	}
	e.add(OK, name, "read from the kernel's memory", "", "")
}

func (e *examination) bpfSyscall() bool {
	if e.config != nil && !e.config.yes("BPF_SYSCALL") {
		e.add(Warn, "bpf(2)", "not in this kernel", "no CONFIG_BPF_SYSCALL", "")
		return false
	}
	if v, ok := parseVersion(e.r.Kernel); ok && v.before(5, 11) {
		e.add(Warn, "bpf(2)", "too old", "the probe needs Linux 5.11", "")
		return false
	}
	return true
}
