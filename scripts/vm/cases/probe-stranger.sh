# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: with the probe running: what a load has not started is nothing that its init waits for, whatever it is called
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: probe
# limit: 300
#
# The first two as in stranger. The third has begun before the init fell asleep and bears its module's name: without the
# probe nothing would tell it from a thread of the init's.
check() {
	modprobe=/safe/modprobe
	helper /safe/modprobe
	/stock/modprobe slhub
	want "the watch starts" watch_begin -v
	stranger work own by_work
	stranger thread irq by_thread
	printf slneed >/sys/module/slhub/parameters/thread
	stranger named irq by_thread late=3000
	watch_end
	want "the watch flagged nobody" [ "$(seen finding .)" = 0 ]
	unload slhub
}
