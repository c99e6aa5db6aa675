# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the kernel's requests before /init, with no /proc, /sys, /dev/null, /run: the same modules as with kmod
# kernels: *-6.* *-own
# boot: early
# fresh: yes
# limit: 10
# quick: yes
#
# init lists what is loaded before it changes anything (the line #E#); the host compares the two boots.
early_seen() { grep -q . /proc/modules; }
stock() { want "kmod loaded something early, so that there is something to compare" early_seen; }
check() {
	want "safeload loaded something early" early_seen
	want "no Go program died" not sh -c "dmesg | grep -q 'fatal error'"
}
