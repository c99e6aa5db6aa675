# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: with the probe running, safeload's modprobe decides at once, also over a kernel thread and a work item
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: probe
# limit: 300
# copies: u0 u1 u2 u3 u4
setup() {
	{
		echo "options slreq_u0 req=slreq_u0"
		echo "options slreq_u1 req=slreq_u1 via=kthread"
		echo "options slreq_u2 req=slreq_u2 via=work"
		echo "options slreq_u3 req=slreq_u4"
		echo "options slreq_u4 hold_ms=3000"
	} | conf probe-guard
}

round() { # MODULE
	kmsg_mark
	start "pg-$1" /safe/modprobe "slreq_$1"
	finish "pg-$1" 40
	log "$1: took $(seconds "$took") s"
	want "$1: modprobe ends with 0" [ "$rc" = 0 ]
	want "$1: the module is live" is "slreq_$1" live
	want "$1: one refusal" count "$(kmsg)" "safeload: refused" 1
	# Over a thread or work item it is suspected, on the probe's evidence and half a second's standstill.
	[ "$1" != u0 ] || want "$1: not on suspicion" lacks "$(kmsg)" "suspected"
	unload "slreq_$1"
}

check() {
	helper /safe/modprobe
	want "the watch starts" watch_begin -v
	for _m in u0 u1 u2; do round $_m; done
	# The first waits in a request for a slow one; the second and third ask for both meanwhile.
	kmsg_mark
	start pg-u3 /stock/modprobe slreq_u3
	wait_for 30 is slreq_u4 coming
	start pg-u3b /safe/modprobe slreq_u3
	start pg-u4b /safe/modprobe slreq_u4
	for _n in u3 u3b u4b; do finish "pg-$_n" 30; want "$_n ends with 0" [ "$rc" = 0 ]; done
	want "none refused" lacks "$(kmsg)" "safeload: refused"
	unload slreq_u3 slreq_u4

	# A probe that was killed leaves maps that nobody may believe, and a new one starts anew.
	kill -KILL "$(pid_of watch)"
	finish watch 10
	want "its maps are still there" [ -n "$(ls /sys/fs/bpf/safeload 2>/dev/null)" ]
	kmsg_mark
	start pg-after /safe/modprobe slreq_u0
	finish pg-after 40
	want "after the kill: ends with 0" [ "$rc" = 0 ]
	want "after the kill: one refusal" count "$(kmsg)" "safeload: refused" 1
	unload slreq_u0
	want "its ready file is still there" has /run/watch.ready "^start "
	want "a second watch starts" watch_begin -v
	# shellcheck disable=SC2012 # names of our own
	want "only its maps are there" [ "$(ls /sys/fs/bpf/safeload | wc -l)" = 1 ]
	round u1
	run 60 /safe/safeload watch --pin "" --ready-file /run/watch.ready
	want "a watch with the ready file of one that runs does not start" [ "$rc" = 1 ]
	# Started in the middle: what began before it is not in its maps.
	start pg-mid /stock/modprobe slreq_u4
	watch_end
	want "it took its maps away" [ -z "$(ls /sys/fs/bpf/safeload)" ]
	# Whoever may write to a bpffs may have been there first.
	chmod 1777 /sys/fs/bpf
	rmdir /sys/fs/bpf/safeload
	mkdir -m 777 /sys/fs/bpf/safeload
	mkdir /sys/fs/bpf/safeload/1-1
	chown -R 1000 /sys/fs/bpf/safeload
	want "a third watch starts" watch_begin -v
	want "its directory is root's alone" [ "$(stat -c '%u %a' /sys/fs/bpf/safeload)" = "0 700" ]
	want "another user's was moved away" [ -d /sys/fs/bpf/safeload-not-ours-*/1-1 ]
	start pg-mid2 /safe/modprobe slreq_u4
	for _n in mid mid2; do finish "pg-$_n" 30; want "$_n ends with 0" [ "$rc" = 0 ]; done
	watch_end
	unload slreq_u4
}
