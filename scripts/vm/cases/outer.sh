# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the outer load is not safeload's: kmod's modprobe, kmod's insmod, busybox's insmod, a program with finit_module
# kernels: all
# boot: main
# limit: 90
# copies: g0 g1 g2 g3
setup() { for _m in g0 g1 g2 g3; do echo "options slreq_$_m req=slreq_$_m"; done | conf outer; }

outer_file() { find "/lib/modules/$kver/updates" -name "slreq_$1.ko"; }
outers() {
	start outer-modprobe /stock/modprobe slreq_g0
	start outer-insmod /stock/insmod "$(outer_file g1)" req=slreq_g1
	start outer-busybox /bin/busybox insmod "$(outer_file g2)" req=slreq_g2
	start outer-inprocess /t/vmtool load "$(outer_file g3)" req=slreq_g3
}

control() {
	outers
	must_hang outer-modprobe slreq_g0
	must_hang outer-insmod slreq_g1
	must_hang outer-busybox slreq_g2
	must_hang outer-inprocess slreq_g3
}

check() {
	kmsg_mark
	outers
	for _o in modprobe:g0 insmod:g1 busybox:g2 inprocess:g3; do
		finish "outer-${_o%:*}" 30
		want "${_o%:*}: ends with 0" [ "$rc" = 0 ]
		want "${_o%:*}: the module is live" is "slreq_${_o#*:}" live
		want "${_o%:*}: proven, not suspected" proven
		want "${_o%:*}: one refusal" count "$(kmsg)" "safeload: refused.*slreq_${_o#*:}" 1
	done
	unload slreq_g0 slreq_g1 slreq_g2 slreq_g3
}
