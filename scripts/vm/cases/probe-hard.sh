# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a wait that no signal ends (6.5 to 6.10): the inner modprobe is stopped as it opens the file (--seed-kernel)
# kernels: arm-own
# matrix: none
# known-red: with --seed-kernel the inner modprobe is not stopped at the open yet
# boot: hard
# limit: 400
# copies: h0
setup() { echo "options slreq_h0 req=slreq_h0" | conf probe-hard; }

seeded() { case $kver in *-seed*) ;; *) skipped="needs vm-test.sh --seed-kernel: this kernel is $kver"; return 1 ;; esac; }

control() {
	seeded || return
	start hard /stock/modprobe slreq_h0
	must_hang hard slreq_h0
	sleep 5
	# The youngest modprobe is the inner one. Not even SIGKILL ends it.
	kill -KILL "$(pidof modprobe | awk '{print $1}')"
}

check() {
	seeded || return
	helper /stock/modprobe
	want "the watch starts" watch_begin -v --break
	want "it saw that the wait cannot be left" has "$watched" '"uninterruptible":true'
	start hard /stock/modprobe slreq_h0
	finish hard 60
	want "modprobe ends with 0" [ "$rc" = 0 ]
	want "the module is live" is slreq_h0 live
	want "found at the open" [ "$(seen finding '"how":"open"')" -ge 1 ]
	watch_end
	unload slreq_h0
	helper /safe/modprobe
}
