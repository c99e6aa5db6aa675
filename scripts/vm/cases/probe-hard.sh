# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a wait that no signal ends (6.5 to 6.10): the inner modprobe is stopped as it opens the file (--seed-kernel)
# kernels: arm-own
# matrix: none
# boot: hard
# limit: 400
# copies: h0 h1 h2
setup() {
	{
		echo "options slreq_h0 req=slreq_h0"
		echo "options slreq_h1 hold_ms=4000"
		echo "options slreq_h2 req=slreq_h1"
	} | conf probe-hard
}

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
	want "the kernel has nothing to hook where a load comes to own its file" lacks /proc/kallsyms ' init_module_from_file$'
	want "the watch starts" watch_begin -v --break
	log "$(head -1 "$watched")"
	want "it saw that the wait cannot be left" has "$watched" '"uninterruptible":true'
	start hard /stock/modprobe slreq_h0
	finish hard 60
	want "modprobe ends with 0" [ "$rc" = 0 ]
	want "the module is live" is slreq_h0 live
	want "found at the open" sees finding '"how":"open"'
	want "nobody came into the wait" [ "$(seen finding '"how":"file')" = 0 ]
	unload slreq_h0
	# Who opens a file that somebody loads, and does not wait for itself, is left alone.
	for _n in 1 2 3; do start "hard-h1-$_n" /stock/modprobe slreq_h1; done
	start hard-h2 /stock/modprobe slreq_h2
	for _n in h1-1 h1-2 h1-3 h2; do finish "hard-$_n" 60; want "$_n: ends with 0" [ "$rc" = 0 ]; done
	want "one finding in all" [ "$(seen finding .)" = 1 ]
	want "nothing is missing on this kernel" has "$watched" '"missing":\[\]'
	watch_end
	unload slreq_h2 slreq_h1
	helper /safe/modprobe
}
