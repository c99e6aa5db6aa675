# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the recursion goes through a dependency (modules.dep), and through a softdep
# kernels: all
# matrix: arm-6.12 arm-6.1 amd64-6.12 amd64-newest *-own
# boot: main
# limit: 60
# copies: p0 p1
setup() {
	{
		echo "options slprov req=sluse"
		echo "options slreq_p0 req=slreq_p1"
		echo "softdep slreq_p1 pre: slreq_p0"
	} | conf deps
}

control() {
	start deps-dep /stock/modprobe sluse
	start deps-soft /stock/modprobe slreq_p1
	must_hang deps-dep slprov
	must_hang deps-soft slreq_p0
}

check() {
	kmsg_mark
	start deps-dep /safe/modprobe sluse
	finish deps-dep 25
	want "dep: modprobe ends with 0" [ "$rc" = 0 ]
	want "dep: sluse is live" is sluse live
	want "dep: one refusal" count "$(kmsg)" "safeload: refused" 1
	want "dep: proven, not suspected" proven
	unload sluse slprov
	kmsg_mark
	start deps-soft /safe/modprobe slreq_p1
	finish deps-soft 25
	want "softdep: modprobe ends with 0" [ "$rc" = 0 ]
	want "softdep: slreq_p1 is live" is slreq_p1 live
	want "softdep: a refusal" has "$(kmsg)" "safeload: refused"
	want "softdep: proven, not suspected" proven
	unload slreq_p1 slreq_p0
}
