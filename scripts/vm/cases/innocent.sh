# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: innocent company: a slow init asked for by 8 at once, and a child that is alive while others wait
# kernels: all
# boot: main
# limit: 60
# quick: yes
# copies: n0 n1 n2
setup() {
	{
		echo "options slreq_n0 hold_ms=6000"
		echo "options slreq_n1 req=slreq_n2"
		echo "options slreq_n2 hold_ms=4000"
	} | conf innocent
}

check() {
	kmsg_mark
	for _i in 1 2 3 4 5 6 7 8; do start "innocent-$_i" /safe/modprobe slreq_n0; done
	# slreq_n1 waits in a request for slreq_n2, which is slow; somebody else wants slreq_n1 meanwhile.
	start innocent-n1 /safe/modprobe slreq_n1
	wait_for 30 is slreq_n2 coming
	start innocent-n1b /safe/modprobe slreq_n1
	start innocent-n2b /safe/modprobe slreq_n2
	for _i in 1 2 3 4 5 6 7 8 n1 n1b n2b; do
		finish "innocent-$_i" 40
		want "$_i ends with 0" [ "$rc" = 0 ]
		want "$_i prints nothing" [ ! -s "$out" ]
	done
	for _m in n0 n1 n2; do want "slreq_$_m is live" is "slreq_$_m" live; done
	want "none refused" lacks "$(kmsg)" "safeload:"
	unload slreq_n0 slreq_n1 slreq_n2
}
