# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: what the probe costs a module load, a wait for a completion, a fork, a start of a program; how soon its reader and modprobe learn of a load
# kernels: all
# matrix: amd64-6.12
# boot: cost
# icount: 1
# limit: 600
# copies: v0 v1 v2
# tests: internal/ancestry
#
# Time counts instructions here, two nanoseconds each, so that the same work takes the same time on any machine.

setup() {
	{
		echo "options slreq_v1 req=slreq_v1"
		echo "options slreq_v2 req=probe-chain"
		echo "install probe-chain cd /tmp; MODULE=slreq_v2 /t/files/internal_ancestry.test -test.v -test.run TestOwnChain >/tmp/chain.out 2>&1"
	} | conf probe-cost
}

cost_of() { # sets fork_$1, exec_$1, load_$1, unload_$1 and wait_$1, in ns
	# Not by start and finish, which look for its end all the time.
	/t/vmtool cost 101 /bin/busybox "$cost_file" slreq_v0 >/tmp/cost 2>&1 || { log "cost: $(cat /tmp/cost)"; return 1; }
	while read -r _what _ns; do eval "${_what}_$1=$_ns"; done </tmp/cost
	/bin/busybox insmod "$cost_wait_file" n=20000 || return 1
	eval "wait_$1=$(cat /sys/module/slwait/parameters/ns_each)"
	/stock/rmmod slwait
}
ratio() { echo "$(($2 * 1000 / $1))" | sed 's/...$/.&/; s/^\./0./'; }

check() {
	cost_file=$(find "/lib/modules/$kver/updates" -name slreq_v0.ko)
	cost_wait_file=$(find "/lib/modules/$kver/updates" -name slwait.ko)
	echo 0 >/proc/sys/kernel/randomize_va_space # a fork copies page tables, as many as there happen to be
	sleep 60 # takes no time; what boot began ends meanwhile
	want "measured without" cost_of off
	want "and again, as a measure of what else there is" cost_of again
	want "the probe is in the kernel" /safe/safeload probe load
	want "measured with it, and nobody reading" cost_of stays
	/safe/safeload probe unload
	want "the watch starts" watch_begin
	want "measured with" cost_of on
	_peak=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(pid_of watch)/status")
	log "cost: memory of the watch: $(grep -E '^(VmHWM|VmRSS|Rss)' "/proc/$(pid_of watch)/status" | tr -s '\t\n ' ' ')"
	watch_end
	want "measured after it" cost_of after

	helper /stock/modprobe
	want "the watch starts again" watch_begin --break
	/stock/modprobe slreq_v2
	grep -q '^--- PASS: TestOwnChain' /tmp/chain.out || log "cost: $(cat /tmp/chain.out)"
	log "cost: $(sed -n 's/.*go:[0-9]*: //p' /tmp/chain.out)"
	want "our own chain is read in less time than a process takes to start" has /tmp/chain.out '^--- PASS: TestOwnChain'
	start cost-self /stock/modprobe slreq_v1
	finish cost-self 60
	want "the recursion ends" [ "$rc" = 0 ]
	watch_end
	want "it was found, and its waiter freed" [ "$(seen finding slreq_v1) $(seen freed slreq_v1)" = "1 1" ]
	log "cost: from the wait to the reader $(largest seen_after_us) us, to freedom $(largest after_us) us"
	want "the reader has it within 5 ms" [ "$(largest slowest_us)" -lt 5000 ]
	unload slreq_v1 slreq_v2
	helper /safe/modprobe
	# A hook that is left behind would show as a cost that stays; but where memory lies differs, too.
	for _what in load:100 wait: fork:25 exec:15; do
		_most=${_what#*:} _what=${_what%:*}
		eval "_off=\$${_what}_off _again=\$${_what}_again _on=\$${_what}_on _stays=\$${_what}_stays _after=\$${_what}_after"
		# shellcheck disable=SC2154 # set by the eval above
		_without=$(((_off + _again + _after) / 3))
		log "cost: $_what: $_off ns, again $_again, with the watch $_on, with the probe alone $_stays, after it $_after: ratios $(ratio $_without "$_on"), $(ratio $_without "$_stays")"
		want "$_what: costs hardly more without a watch than with one" [ "$_stays" -lt $((_on * 5 / 4)) ] # a fork is a tenth dearer at one time than at another
		_before=$((_off > _again ? _off : _again)) # a wait was seen to be a quarter dearer at one place than at another
		# A fork was seen to be a third dearer at one time than at another, with nothing attached.
		[ "$_what" = fork ] && _room=150 || _room=125
		want "$_what: costs after the probe what it did before" [ "$_after" -lt $((_before * _room / 100)) ]
		_dearest=$((_before > _after ? _before : _after))
		[ -z "$_most" ] || want "$_what: costs less than $_most % more with it" [ "$_on" -lt $((_dearest * (100 + _most) / 100)) ]
	done
	want "less than 16 MiB resident" [ "$_peak" -lt 16384 ]
}
