# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the kernel's requests before /init, with no /proc, /sys, /dev/null, /run: the same modules as with kmod
# kernels: *-6.* *-own
# matrix: arm-6.12 arm-6.1 amd64-6.12 *-own
# boot: early
# fresh: yes
# limit: 60
# quick: yes
# append: trace_event=task:task_newtask,sched:sched_process_exec,module:module_request
#
# Go's runtime makes threads. A helper without any has answered before the runtime (internal/nowhere): there are as many as
# there were requests for names that exist nowhere, of those before /init.
# init lists what is loaded before it changes anything (the line #E#); the host compares the two boots.
early_seen() { grep -q . /proc/modules; }
# early_trace: how many helpers had no threads, how many had some, and which names were requested, in /tmp/early.*.
early_trace() {
	sed '/filename=\/safe\//,$d' /sys/kernel/tracing/trace >/tmp/early.trace
	awk '/sched_process_exec: filename=\/sbin\/modprobe / {sub(/.* pid=/, ""); helper[$1] = 1}
		/task_newtask: .*comm=modprobe / {sub(/^ */, ""); sub(/ .*/, ""); sub(/.*-/, ""); threads[$1] = 1}
		END {for (h in helper) n[h in threads]++; print n[0] + 0, n[1] + 0}' /tmp/early.trace >/tmp/early.helpers
	sed -n 's/.* module_request: \(.*\) wait=.*/\1/p' /tmp/early.trace >/tmp/early.names
	_nowhere=0
	while read -r _name; do /stock/modprobe -R -q -- "$_name" >/dev/null 2>&1 || _nowhere=$((_nowhere + 1)); done </tmp/early.names
	read -r _without _with </tmp/early.helpers
	log "early: $(wc -l </tmp/early.names) requests, $_nowhere for what exists nowhere; helpers without threads: $_without, with: $_with"
}
stock() { want "kmod loaded something early, so that there is something to compare" early_seen; }
check() {
	want "safeload loaded something early" early_seen
	want "no Go program died" not sh -c "dmesg | grep -q 'fatal error'"
	[ -e /sys/kernel/tracing/trace ] || { log "early: NOT LOOKED AT: this kernel cannot trace who answered"; return; }
	early_trace
	want "some names were requested" [ -s /tmp/early.names ]
	# What there is besides differs from kernel to kernel.
	case $kver in *-armmp) want "some exist nowhere" [ "$_nowhere" -gt 0 ]; want "some exist" [ "$_with" -gt 0 ] ;; esac
	want "each name that exists nowhere was answered before Go's runtime, and no other" [ "$_without" -eq "$_nowhere" ]
}
