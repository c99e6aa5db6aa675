# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: safeload diagnose on live hangs of kmod: proven, likely, merely slow; --free ends them
# kernels: all
# matrix: arm-6.12
# boot: diagnose
# limit: 150
# modules: tcrypt
# copies: d0 d1 dk ds
setup() {
	echo "alias crypto-recurse tcrypt" | conf tcrypt
	conf diagnose <<-C
		options slreq_d0 req=slreq_d1
		options slreq_d1 req=slreq_d0
		options slreq_dk req=slreq_dk via=kthread
		options slreq_ds delay_ms=9000
	C
}

diagnose() { run 20 /safe/safeload diagnose "$@"; sed 's/^/#L# /' "$out"; }
found() { [ "$rc" = 3 ] && has "$out" "$1"; }

check() {
	helper /stock/modprobe
	run 20 /safe/safeload diagnose
	want "a healthy system: exit 0" [ "$rc" = 0 ]
	want "in a few seconds of a slow guest" [ "$took" -le 500 ]

	start slow /stock/modprobe slreq_ds
	start second /stock/modprobe slreq_ds
	wait_for 10 is slreq_ds coming
	diagnose
	want "slow: exit 0" [ "$rc" = 0 ]
	want "slow is called slow" has "$out" "Slow, not stuck.*slreq_ds"
	finish slow 20

	start tcrypt /stock/modprobe tcrypt alg=recurse
	wait_for 10 is tcrypt coming
	usleep 2000000
	diagnose
	want "tcrypt: found, certain" found "FOUND (certain): the load of tcrypt waits for itself"
	want "tcrypt: how to free it" has "$out" "kill -TERM [0-9]"
	run 20 /safe/safeload diagnose --json
	want "as JSON" has "$out" '"type":"finding","module":"tcrypt","certainty":"certain"'
	run 20 /safe/safeload diagnose --dot
	want "as a graph" has "$out" "color=red"
	diagnose --free
	want "--free says what it ended" has "$out" "free: ended pid"
	finish tcrypt 20
	want "tcrypt's load has ended" [ "$rc" != hang ]

	start ring /stock/modprobe slreq_d0
	wait_for 10 is slreq_d1 coming
	usleep 2000000
	diagnose
	want "two modules: found, certain" found "FOUND (certain)"
	run 20 /safe/safeload diagnose --free
	finish ring 20
	want "two modules: both live after --free" [ "$rc$(state slreq_d0)$(state slreq_d1)" = 0livelive ]

	start thread /stock/modprobe slreq_dk
	wait_for 10 is slreq_dk coming
	run 20 /safe/safeload diagnose
	want "a kernel thread: nothing is said too early" [ "$rc" = 0 ]
	usleep 12000000
	diagnose
	want "a kernel thread: found, likely" found "FOUND (likely): the load of slreq_dk"
	run 20 /safe/safeload diagnose --free
	finish thread 20
	want "a kernel thread: live after --free" is slreq_dk live
	run 20 /safe/safeload diagnose
	want "healthy again" [ "$rc" = 0 ]
	helper /safe/modprobe

	unload slreq_ds
	start slow /safe/modprobe slreq_ds
	wait_for 10 is slreq_ds coming
	run 20 /safe/safeload status
	sed 's/^/#L# /' "$out"
	want "status lists the load" has "$out" "loads slreq_ds (coming)"
	want "status names its token" has "$out" "token [0-9a-f]*"
	run 20 /safe/safeload status --json
	want "status as JSON" has "$out" '"type":"verdicts"'
	finish slow 20
	unload slreq_ds slreq_d0 slreq_d1 slreq_dk
}
