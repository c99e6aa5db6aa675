# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a slow init is asked for by a work item and by a kernel thread that no load has started: nobody is refused
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: main
# limit: 120
#
# snd_hda asks for i915 from a work item while i915's init waits for its firmware. The init sleeps for longer than the
# guard's patience, and nothing tells that it will wake.
recipes() {
	/stock/modprobe slhub
	stranger work own by_work
	stranger thread irq by_thread
	unload slhub
}

stock() { modprobe=/stock/modprobe; recipes; }
check() {
	modprobe=/safe/modprobe
	# Nor does anybody advise to end it.
	start stranger-look sh -c 'until [ -e /sys/module/slneed/initstate ]; do sleep 0.2; done; sleep 12; exec /safe/safeload diagnose'
	recipes
	finish stranger-look 30
	sed 's/^/#L# stranger: /' "$out"
	want "diagnose finds nobody stuck" [ "$rc" = 0 ]
}
