# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: 5,000 innocent loads (300 without --full), by processes and by the kernel, 160 at once, beside true recursions and inits of 15 s and 70 s
# kernels: arm-6.12 arm64-* amd64-*
# matrix: arm-6.12 amd64-6.12
# boot: stress
# cpus: 2
# limit: 420
# limit-full: 2200
# copies: o0 q0 q1 q2 q3 q4 q5 q6 q7 q8 q9 r0 r1 r2 r3 r4
setup() {
	{
		storm_conf
		for _m in r0 r3 r4; do echo "options slreq_$_m req=slreq_$_m"; done
		echo "options slreq_r1 hold_ms=15000"
		echo "options slreq_r2 hold_ms=70000"
	} | conf storm
}

check() {
	dmesg -c >/dev/null
	kmsg_mark
	for _m in r1 r2; do for _i in 1 2 3; do start "storm-$_m-$_i" /safe/modprobe "slreq_$_m"; done; done
	# The storm lasts until there were recursions enough. Three at a time: one after the other they take ten seconds each,
	# in which a fast machine does five times the loads.
	rm -f /tmp/storm.enough
	far "$(by_scale 360 2000)"
	start storm /t/vmtool storm -modprobe /safe/modprobe -want "$(by_scale 300 5000)" \
		-until /tmp/storm.enough -limit "$far"
	recursions=0
	while ! ended storm; do
		for _m in r0 r3 r4; do start "storm-$_m" /safe/modprobe "slreq_$_m"; done
		for _m in r0 r3 r4; do
			finish "storm-$_m" "$(by_scale 120 600)"
			[ "$rc" != 0 ] || recursions=$((recursions + 1))
		done
		unload slreq_r0 slreq_r3 slreq_r4
		[ "$recursions" -lt 3 ] || : >/tmp/storm.enough
		sleep "$(by_scale 1 3)"
	done
	finish storm 5
	sed 's/^/#L# storm: /' "$out"
	want "all loads ended well" [ "$rc" = 0 ]
	for _m in r1 r2; do for _i in 1 2 3; do
		finish "storm-$_m-$_i" 90
		want "slreq_$_m, load $_i, ends with 0" [ "$rc" = 0 ]
		want "slreq_$_m, load $_i, prints nothing" [ ! -s "$out" ]
	done; done
	dmesg | grep 'safeload:' >/tmp/storm.said
	want "there were recursions meanwhile, all broken ($recursions)" [ "$recursions" -ge 3 ]
	want "as many refusals as recursions" count /tmp/storm.said "safeload: refused slreq_r[034]" "$recursions"
	want "nobody else was refused" lacks /tmp/storm.said "refused slreq_[oq]\|refused slreq_r[12]"
	grep -v 'refused slreq_r[034]' /tmp/storm.said | tail -n 5 | sed 's/^/#L# storm: /'
}
