# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the watch without BPF: from a tracing instance, and by sampling /proc; both find and break a recursion
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: probe
# limit: 240
# copies: x0 x1
setup() { { echo "options slreq_x0 req=slreq_x0"; echo "options slreq_x1 req=slreq_x1"; } | conf probe-less; }

less() { # SOURCE MODULE
	want "$1: the watch starts" watch_begin -v --source "$1" --break
	want "$1: it says what it cannot see" has "$watched" '"missing":\["'
	start "less-$1" /stock/modprobe "$2"
	finish "less-$1" 60
	log "$1: took $(seconds "$took") s"
	want "$1: ends with 0" [ "$rc" = 0 ]
	want "$1: the module is live" is "$2" live
	sees finding '"signal":"SIGTERM"'
	want "$1: one finding, proven" [ "$(seen finding '"certainty":"proven"')" = 1 ]
	want "$1: it sent the signal" [ "$(seen finding '"signal":"SIGTERM"')" = 1 ]
	watch_end
	want "$1: the watch ends with 0" [ "$rc" = 0 ]
	unload "$2"
}

check() {
	helper /stock/modprobe
	less tracefs slreq_x0
	want "the instance is gone" [ -z "$(ls /sys/kernel/tracing/instances)" ]
	want "its kprobes are gone" lacks /sys/kernel/tracing/kprobe_events safeload
	less proc slreq_x1
	helper /safe/modprobe
}
