# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the outer load is by Debian's busybox, its modprobe, which reads modprobe.d and modules.dep as kmod's does
# kernels: all
# matrix: arm-6.12 amd64-6.12 *-own
# boot: main
# limit: 45
# copies: g4
setup() { echo "options slreq_g4 req=slreq_g4" | conf busybox; }

control() {
	start busybox /bin/busybox modprobe slreq_g4
	must_hang busybox slreq_g4
}

check() {
	kmsg_mark
	start busybox /bin/busybox modprobe slreq_g4
	finish busybox 30
	want "ends with 0" [ "$rc" = 0 ]
	want "the module is live" is slreq_g4 live
	want "proven, not suspected" proven
	want "one refusal" count "$(kmsg)" "safeload: refused slreq_g4.*(busybox slreq_g4)" 1
	unload slreq_g4
}
