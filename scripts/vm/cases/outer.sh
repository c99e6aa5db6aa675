# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the outer load is not safeload's: kmod's modprobe, kmod's insmod, busybox's insmod, a program with finit_module
# kernels: all
# boot: main
# limit: 90
# copies: g0 g1 g2 g3
setup() { for _m in g0 g1 g2 g3; do echo "options slreq_$_m req=slreq_$_m"; done | conf outer; }

outer_file() { find "/lib/modules/$kver/updates" -name "slreq_$1.ko"; }
# outer NAME: what makes the load, started as job outer-NAME.
outer() {
	case $1 in
	modprobe) start outer-modprobe /stock/modprobe slreq_g0 ;;
	insmod) start outer-insmod /stock/insmod "$(outer_file g1)" req=slreq_g1 ;;
	busybox) start outer-busybox /bin/busybox insmod "$(outer_file g2)" req=slreq_g2 ;;
	inprocess) start outer-inprocess /t/vmtool load "$(outer_file g3)" req=slreq_g3 ;;
	esac
}

control() {
	for _o in modprobe:g0 insmod:g1 busybox:g2 inprocess:g3; do
		outer "${_o%:*}"
		must_hang "outer-${_o%:*}" "slreq_${_o#*:}"
	done
}

# One after the other: of several at once each is proven only when the helpers of all wait, which on a slow machine is later than
# the patience of the first.
check() {
	for _o in modprobe:g0 insmod:g1 busybox:g2 inprocess:g3; do
		kmsg_mark
		outer "${_o%:*}"
		finish "outer-${_o%:*}" 30
		want "${_o%:*}: ends with 0" [ "$rc" = 0 ]
		want "${_o%:*}: the module is live" is "slreq_${_o#*:}" live
		want "${_o%:*}: proven, not suspected" proven
		want "${_o%:*}: one refusal" count "$(kmsg)" "safeload: refused.*slreq_${_o#*:}" 1
	done
	unload slreq_g0 slreq_g1 slreq_g2 slreq_g3
}
