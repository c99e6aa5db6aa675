// SPDX-License-Identifier: Apache-2.0

// Package bpf is the probe: programs in the kernel that follow every module
// load, every request for one and every helper that the kernel starts, and
// that see at the moment of a wait whether a load waits for itself.
//
// The programs are in src/, compiled for 32-bit ARM, arm64 and amd64 and
// committed; they need no BTF. They use tracepoints and kprobes, which need
// CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) and a kernel from 5.11 with
// CONFIG_BPF_SYSCALL, CONFIG_KPROBE_EVENTS and CONFIG_FTRACE_SYSCALLS. What
// the kernel inlined away is left out and named by [Probe.Missing]; what the
// probe cannot do without makes [Open] fail with [Unavailable], which says all
// that is missing at once.
//
// The package knows no policy and prints nothing.
package bpf
