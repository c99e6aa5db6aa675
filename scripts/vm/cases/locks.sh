# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a load that waits for a lock, a queue or an async function of the one who asked for it: what diagnose says, what frees it
# kernels: arm-* arm64-6.12 amd64-6.12
# matrix: arm-6.12 arm-6.1 amd64-6.12
# boot: locks
# limit: 400
# tests: internal/locks
# copies: l0 l1 l2 l3 l4 l5 l6 l7 l8
#
# nf_tables' and rtnl's mutex, device locks, flush_scheduled_work and async probes are what the field reports of these.
# Nothing is loaded twice: no helper waits for another load, and none can be refused.
# Not on 7.3: a lock has the first of those who wait there (first_waiter), and no list of them. Who holds it is not read.
setup() {
	conf locks <<-EOF
		options slreq_l0 need=lock
		options slreq_l1 need=read
		options slreq_l2 need=write
		options slreq_l3 need=second
		options slreq_l4 need=flush
		options slreq_l8 need=lock
		options sldev req=sldevb device=1
	EOF
}

# ask NAME KNOB MODULE: slhub has the kernel ask for it, in the manner of the knob.
knobs=/sys/module/slhub/parameters
ask() { start "$1" sh -c "echo $3 >$knobs/$2"; }

control() {
	/stock/modprobe slhub
	ask mutex under_lock slreq_l0
	must_hang mutex slreq_l0
	ask read under_write slreq_l1
	must_hang read slreq_l1
	ask write under_read slreq_l2
	must_hang write slreq_l2
	ask hops under_third slreq_l3
	wait_for 30 is slreq_l3 coming
	ask between between x
	must_hang hops slreq_l3
	must_hang between slreq_l3
	start device /stock/modprobe sldev
	must_hang device sldev sldevb
		echo slreq_l4 >"$knobs/by_work"
	wait_for 30 is slreq_l4 coming
	# The last: no later load ends. One that is asked for here is live, and hangs all the same.
		echo slreq_l5 >"$knobs/by_async"
	wait_for 30 is slreq_l5 live
	start async /stock/modprobe slreq_l6
	must_hang async slreq_l4
}

# look SECONDS TEXT: diagnoses until that is found.
look() {
	diagnose_until "$1" told "$2"
	sed 's/^/#L# locks: /' "$out"
}

told() { [ "$rc" = 3 ] && has "$out" "$1"; }

# held NAME CERTAINTY WHAT MODULE: its load waits for what the one who asked for it has; SIGKILL of that one frees both.
held() {
	wait_for 30 is "$4" coming
	sleep 1
	_t0=$(now)
	look 40 "^FOUND"
	log "$1: found $(seconds $(($(now) - _t0))) s after the first look began"
	want "$1: found, $2" has "$out" "^FOUND ($2): the load of $4 waits for $3"
	want "$1: one circle" count "$out" "^FOUND" 1
	want "$1: nothing is called slow" lacks "$out" "^Slow"
	# Where the holder is not certain nobody is to be killed at once: he who reads is told whom to suspect.
	case $2 in
	certain) want "$1: what frees it" has "$out" "to free it now: kill -KILL $(pid_of "$1") " ;;
	*) want "$1: what may free it" has "$out" "to free it now: not known. Pid $(pid_of "$1") asked" ;;
	esac
	kill -KILL "$(pid_of "$1")"
	finish "$1" 10
	want "$1: who asked has ended" [ "$rc" != hang ]
	want "$1: the load ends" wait_for 30 is "$4" live
}

# ended_by_watch NAME MODULE KNOWN: the watch finds it, and ends who asked. An event tells when the wait begins, so that it
# takes no look at all tasks, which a load is given when it has taken a second.
ended_by_watch() {
	finish "$1" 40
	log "$1: who asked ended after $(seconds "$took") s"
	want "$1: who asked is ended" [ "$rc" = 137 ]
	want "$1: the load ends" wait_for 30 is "$2" live
	sees finding "\"module\":\"$2\""
	log "$1: $(grep -o '"how":"[a-z-]*"\|"known_by":"[a-z]*"\|"seen_after_us":[0-9]*' "$watched" | tail -n 3 | tr '\n' ' ')"
	want "$1: one finding" [ "$(seen finding "\"module\":\"$2\"")" = 1 ]
	want "$1: proven, a lock, by $3" [ "$(seen finding "\"certainty\":\"proven\".*\"kind\":\"lock\",\"known_by\":\"$3\",\"module\":\"$2\".*\"signal\":\"SIGKILL\"")" = 1 ]
}

check() {
	helper /stock/modprobe
	gotest internal_locks 60
	/stock/modprobe slhub
	ask mutex under_lock slreq_l0
	held mutex certain "a lock of the one who asked" slreq_l0
	ask read under_write slreq_l1
	held read certain "a lock of the one who asked" slreq_l1
	ask write under_read slreq_l2
	held write likely "a lock of the one who asked" slreq_l2
	ask hops under_third slreq_l3
	wait_for 30 is slreq_l3 coming
	ask between between x
	held hops certain "a lock of the one who asked" slreq_l3
	finish between 10
	want "hops: who stood between them goes on" [ "$rc" = 0 ]
	start device /stock/modprobe sldev
	held device certain "a lock of the one who asked" sldevb

	# A module that is live already takes no lock: what diagnose advises for good.
	/stock/modprobe slreq_l0
	ask before under_lock slreq_l0
	finish before 20
	want "before: who asks for a module that is live goes on" [ "$rc" = 0 ]

	# The same with a watch that may end who asked.
	want "the watch starts" watch_begin --break=KILL
	_ms=30000
	while contention; [ $_looks = 0 ] && [ $_ms -lt 200000 ]; do unload slreq_l7 slreq_l8; _ms=$((_ms * 3)); done
	want "contention: there was something to see" [ $_looks -ge 1 ]
	want "watch: nobody is found of those who only wait" [ "$(seen finding .)" = 0 ]
	unload slreq_l0 slreq_l1 slreq_l2 slreq_l3 sldevb sldev
	_told=event
	[ -e /sys/kernel/tracing/events/lock/contention_begin ] || _told=survey
	ask watched under_lock slreq_l0
	ended_by_watch watched slreq_l0 $_told
	ask watched_read under_write slreq_l1
	ended_by_watch watched_read slreq_l1 $_told
	start watched_device /stock/modprobe sldev
	ended_by_watch watched_device sldevb $_told
	# The holder of the load's lock is in no request, and begins to wait for who is before the load does.
	ask watched_hops under_third slreq_l3
	wait_for 30 is slreq_l3 coming
	ask watched_between between x
	ended_by_watch watched_hops slreq_l3 survey
	finish watched_between 10
	want "watch: four findings, no more" [ "$(seen finding .)" = 4 ]
	want "watch: every line is as the schema says" /t/vmtool jsonl watch "$watched"
	watch_end

	# No signal frees these: the last of this guest.
	echo slreq_l5 >"$knobs/by_async"
	wait_for 30 is slreq_l5 live
	start async /stock/modprobe slreq_l6
	# Workers for async functions alone are named so (6.9 and later); before, they are those of other work as well.
	_sure=likely
	! grep -qs '+async$' /proc/[0-9]*/comm || _sure=certain
	look 40 "^FOUND"
	want "async: found, $_sure" has "$out" "^FOUND ($_sure): the load of slreq_l5 waits for the async function that asked for it"
	want "async: what it does to others" has "$out" "every later load behind it, until a reboot"
	want "async: who hangs behind it" has "$out" "^Hangs behind that: the load of slreq_l6"
	echo slreq_l4 >"$knobs/by_work"
	wait_for 30 is slreq_l4 coming
	look 40 "^FOUND.*slreq_l4"
	want "flush: found" has "$out" "^FOUND (likely): the load of slreq_l4 waits for the work item that asked for it"
	want "flush: a worker cannot be ended" has "$out" "nothing can. Who asked is a kernel thread"
	want "two circles" count "$out" "^FOUND" 2
	run 40 /safe/safeload status --json
	want "status: exit 3" [ "$rc" = 3 ]
	want "status: as the schema says" /t/vmtool jsonl survey "$out"
	want "status: the kinds" has "$out" '"kind":"async"'
	run 60 /safe/safeload doctor --json
	want "doctor: exit 3, as status" [ "$rc" = 3 ]
	# With two who ask at once it is only likely which helper is whose.
	want "doctor: the same load" has "$out" '"name":"loads now","level":"[a-z]*","value":"the load of slreq_l5 waits for the async function'
	want "doctor: as the schema says" /t/vmtool jsonl doctor "$out"
	helper /safe/modprobe
}

# contention: a load waits for a lock of somebody who is slow and no more than that, for longer than any patience.
# A look of diagnose takes some ten seconds where nothing moves: one that ends while the lock is held is enough. On a slow
# machine none may, and the lock is held for longer.
contention() {
	start slow sh -c "echo $_ms >$knobs/slow"
	sleep 0.5
	start innocent /t/vmtool load "/lib/modules/$kver/updates/slreq_l7.ko" need=lock
	wait_for 30 is slreq_l7 coming
	ask other under_write slreq_l8
	_looks=0
	while ! ended slow; do
		run 40 /safe/safeload diagnose
		ended slow || _looks=$((_looks + 1))
		[ "$rc" = 0 ] || { sed 's/^/#L# locks: /' "$out"; want "contention: nobody is found" false; }
		pause 14
	done
	log "contention: $_looks looks"
	finish innocent 10
	want "contention: the load ends with 0" [ "$rc" = 0 ]
	finish other 30
	want "contention: so does the other's request" [ "$rc" = 0 ]
}
