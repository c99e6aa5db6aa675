# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: an init that sleeps for longer than the guard's patience is asked for by a kernel thread of another's: nobody is refused
# kernels: all
# boot: main
# limit: 60
# copies: n3 n4
#
# Nothing tells for how long the init of slreq_n3 sleeps. A kernel thread that is younger waits for a helper that waits
# for it: that would be a circle, were it not a thread that the init of slreq_n4 has started.
setup() {
	{
		echo "options slreq_n3 still_ms=18000"
		echo "options slreq_n4 req=slreq_n3 via=kthread"
	} | conf bystander
}

check() {
	kmsg_mark
	start bystander-n3 /safe/modprobe slreq_n3
	wait_for 30 is slreq_n3 coming
	start bystander-n4 /safe/modprobe slreq_n4
	for _i in n3 n4; do
		finish "bystander-$_i" 40
		want "$_i ends with 0" [ "$rc" = 0 ]
		want "$_i prints nothing" [ ! -s "$out" ]
		want "slreq_$_i is live" is "slreq_$_i" live
	done
	want "none refused" lacks "$(kmsg)" "safeload:"
	unload slreq_n3 slreq_n4
}
