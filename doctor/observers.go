// SPDX-License-Identifier: Apache-2.0

package doctor

import "os"

// observers reports by what means loads can be observed.
func (e *examination) observers() {
	e.area = "observers"
	if e.proc = e.sys.mounted("/proc", "proc"); e.proc {
		e.add(OK, "procfs", "/proc", "", "")
	} else {
		e.add(Warn, "procfs", "not mounted", "safeload makes one of its own where it may (Linux 5.2, CAP_SYS_ADMIN)", "mount /proc")
	}
	e.stack()
	e.cgroup()
	e.bpffs = e.sys.mounted("/sys/fs/bpf", "bpf")
	if st, err := os.Stat(e.sys.path("/sys/fs/bpf")); e.bpffs && err == nil && st.Mode().Perm()&0o022 != 0 {
		e.add(Note, "bpffs", "/sys/fs/bpf", "every user can make files and directories in it", "chmod 0700 /sys/fs/bpf, and mount it with mode=0700")
	} else if e.bpffs {
		e.add(OK, "bpffs", "/sys/fs/bpf", "", "")
	} else {
		e.add(Warn, "bpffs", "not mounted", "the probe's ancestry cannot be shared with the helper", "mount -t bpf -o mode=0700 bpf /sys/fs/bpf")
	}
	e.tracefsMount()
	switch {
	case e.sys.exists("/sys/kernel/btf/vmlinux"):
		e.add(OK, "BTF", "/sys/kernel/btf/vmlinux", "", "")
	case e.r.Arch == "arm":
		e.add(Note, "BTF", "none", "as usual on 32-bit ARM; the probe needs none", "")
	default:
		e.add(Note, "BTF", "none", "no task iterators for safeload diagnose; the probe needs none", "")
	}
	switch v, err := e.sys.line("/proc/sys/net/core/bpf_jit_enable"); {
	case err != nil:
		e.add(Note, "BPF JIT", "unknown", whyNot(err), "")
	case v == "0" && e.r.Arch == "arm64":
		e.add(Warn, "BPF JIT", "off", "on arm64 the probe then does not follow kernel threads of an init", "sysctl net.core.bpf_jit_enable=1")
	case v == "0":
		e.add(Note, "BPF JIT", "off", "the probe is interpreted: slower, nothing else", "")
	default:
		e.add(OK, "BPF JIT", "on", "", "")
	}
	e.kprobes()
}

// stack: 32-bit ARM gives no stacks of other tasks (CONFIG_STACKTRACE there
// covers only the current one), wchan must do.
func (e *examination) stack() {
	text, err := e.sys.read("/proc/1/stack")
	switch {
	case err != nil && os.IsPermission(err):
		e.add(Unknown, "stacks of tasks", "unknown", "/proc/1/stack is not readable: not root, or forbidden", "")
	case err != nil:
		e.add(Note, "stacks of tasks", "none", "no CONFIG_STACKTRACE; safeload uses wchan and syscall", "")
	case text == "":
		e.add(Note, "stacks of tasks", "empty", "as usual on 32-bit ARM; safeload uses wchan and syscall", "")
	default:
		e.add(OK, "stacks of tasks", "/proc/PID/stack", "", "")
	}
}

func (e *examination) cgroup() {
	const why = "tokens travel in the environment alone: what loses it is still seen in /proc"
	switch {
	case e.sys.mounted("/sys/fs/cgroup", "cgroup2"):
		e.add(OK, "cgroup", "v2 at /sys/fs/cgroup", "", "")
	case e.sys.mounted("/sys/fs/cgroup/unified", "cgroup2"):
		e.add(OK, "cgroup", "v1, with v2 at /sys/fs/cgroup/unified", "", "")
	case e.cgroupV1() != "":
		e.add(OK, "cgroup", "v1 at "+e.cgroupV1(), "", "")
	default:
		e.add(Note, "cgroup", "none mounted", why, "mount -t cgroup2 none /sys/fs/cgroup")
	}
}

func (e *examination) cgroupV1() string {
	least := ""
	for point, kind := range e.sys.mounts {
		if kind == "cgroup" && (least == "" || point < least) {
			least = point
		}
	}
	return least
}

func (e *examination) tracefsMount() {
	at := e.sys.tracefs()
	if at == "" {
		e.add(Warn, "tracefs", "not mounted", "no probe and no watcher", "mount -t tracefs tracefs /sys/kernel/tracing")
		return
	}
	if _, err := os.ReadDir(e.sys.path(at + "/events")); err != nil {
		e.add(Unknown, "tracefs", at, "its events: "+whyNot(err), "")
		return
	}
	e.tracefs = true
	e.add(OK, "tracefs", at, "", "")
}

func (s system) tracefs() string {
	for _, at := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if s.mounted(at, "tracefs") {
			return at
		}
	}
	return ""
}

func (e *examination) kprobes() {
	at := e.sys.tracefs()
	switch {
	case e.config != nil && !e.config.yes("KPROBE_EVENTS"):
		e.add(Warn, "kprobes", "none", "no CONFIG_KPROBE_EVENTS: no probe, no watcher", "")
	case !e.tracefs:
		e.add(Unknown, "kprobes", "unknown", "needs tracefs, and root", "")
	case !e.sys.exists(at + "/kprobe_events"):
		e.add(Warn, "kprobes", "none", "no CONFIG_KPROBE_EVENTS: no probe, no watcher", "")
	default:
		if v, err := e.sys.line("/sys/kernel/debug/kprobes/enabled"); err == nil && v == "0" {
			e.add(Warn, "kprobes", "turned off", "/sys/kernel/debug/kprobes/enabled is 0", "echo 1 >/sys/kernel/debug/kprobes/enabled")
			return
		}
		e.add(OK, "kprobes", "yes", "", "")
	}
}
