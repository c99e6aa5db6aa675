# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the request comes from a kernel thread that init waits for, and from a work item that it flushes
# kernels: all
# matrix: arm-6.12 arm-6.1 arm64-6.12 amd64-6.12 amd64-newest *-own
# boot: main
# cpus: 2
# limit: 75
# copies: t0 w0
#
# Neither is visible in parent pids. Without a probe the evidence is that nothing moves, so that this may
# take the guard's patience (10 s); it must not take more.
setup() {
	{
		echo "options slreq_t0 req=slreq_t0 via=kthread"
		echo "options slreq_w0 req=slreq_w0 via=work"
	} | conf threads
}

control() {
	start threads-kthread /stock/modprobe slreq_t0
	start threads-work /stock/modprobe slreq_w0
	must_hang threads-kthread slreq_t0
	must_hang threads-work slreq_w0
}

check() {
	for _m in t0 w0; do
		kmsg_mark
		start "threads-$_m" /safe/modprobe "slreq_$_m"
		finish "threads-$_m" 30
		want "$_m: modprobe ends with 0" [ "$rc" = 0 ]
		want "$_m: the module is live" is "slreq_$_m" live
		want "$_m: one refusal" count "$(kmsg)" "safeload: refused" 1
		far 20
		want "$_m: within $far s: the patience of 10 s, and looks at a slow guest" [ "$took" -le $((far * 100)) ]
		unload "slreq_$_m"
	done
}
