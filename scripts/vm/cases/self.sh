# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a module whose init asks for itself, loaded by safeload
# kernels: all
# boot: main
# boards: orangepi-pc
# limit: 45
# copies: s0
setup() { echo "options slreq_s0 req=slreq_s0" | conf self; }

control() {
	start self /stock/modprobe slreq_s0
	must_hang self slreq_s0
}

check() {
	kmsg_mark
	start self /safe/modprobe slreq_s0
	finish self 30
	want "modprobe ends with 0" [ "$rc" = 0 ]
	want "the module is live" is slreq_s0 live
	want "one refusal" count "$(kmsg)" "safeload: refused" 1
	want "proven, not suspected" proven
	unload slreq_s0
}
