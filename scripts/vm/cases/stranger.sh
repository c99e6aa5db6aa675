# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a slow init is asked for by a work item and by a kernel thread that no load has started: nobody is refused
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 75
#
# snd_hda asks for i915 from a work item while i915's init waits for its firmware. The init sleeps for longer than the
# guard's patience, and nothing tells that it will wake.
setup() { :; }

# recipe NAME NEED KNOB: an init that waits for a work item of its own, and a stranger's request for it.
recipe() {
	kmsg_mark
	start "stranger-$1" "$modprobe" slneed need="$2" ms=15000
	wait_for 10 is slneed coming
	sleep 1
	echo slneed >"/sys/module/slhub/parameters/$3"
	finish "stranger-$1" 40
	want "$1: modprobe ends with 0" [ "$rc" = 0 ]
	want "$1: the module is live" is slneed live
	want "$1: the request ends" wait_for 10 has_kmsg "slhub: slneed returned"
	want "$1: it returns 0" has "$(kmsg)" "slhub: slneed returned 0"
	want "$1: none refused" lacks "$(kmsg)" "safeload:"
	unload slneed
}
has_kmsg() { has "$(kmsg)" "$1"; }

recipes() {
	/stock/modprobe slhub
	recipe work own by_work
	recipe thread irq by_thread
	unload slhub
}

stock() { modprobe=/stock/modprobe; recipes; }
check() { modprobe=/safe/modprobe; recipes; }
