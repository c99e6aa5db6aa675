# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: waits that are right, with the probe attached and told to break: none flagged, none broken, nor a load that waits for a lock of who is slow; and a storm of 1,000 loads (160 without --full)
# kernels: all
# matrix: arm-6.12
# boot: probe
# cpus: 2
# limit: 300
# limit-full: 600
# copies: q0 q1 q2 q3 q4 q5 q6 q7
setup() {
	{
		echo "options slreq_q0 hold_ms=4000"
		echo "options slreq_q1 req=slreq_q2"
		echo "options slreq_q2 hold_ms=3000"
		# Its thread asks for a module that is not this one, while others want this one.
		echo "options slreq_q3 req=slreq_q2 via=kthread hold_ms=1000"
		echo "options slreq_q5 hold_ms=12000"
		echo "options slreq_q6 need=lock"
		echo "options slreq_q7 need=lock"
	} | conf probe-innocent
}

# On a slow machine the lock may be free by then.
begun() { is "$1" coming || is "$1" live; }

check() {
	helper /stock/modprobe
	want "the watch starts" watch_begin -v --break
	# For longer than any patience a lock is held by who waits for a helper, which is slow and no more than that. A load by
	# hand waits for that lock, and one that somebody else has asked for.
	_hub=/sys/module/slhub/parameters
	/stock/modprobe slhub
	start pq-slow sh -c "echo slreq_q5 >$_hub/under_lock"
	want "who holds a lock waits for a helper" wait_for 30 is slreq_q5 coming
	start pq-lock /stock/modprobe slreq_q6
	start pq-asked sh -c "echo slreq_q7 >$_hub/under_write"
	want "a load by hand begins" wait_for 30 begun slreq_q6
	want "so does one that was asked for" wait_for 30 begun slreq_q7
	log "both wait for the lock: $(state slreq_q6), $(state slreq_q7) while its holder waits for one that is $(state slreq_q5)"
	for _i in 1 2 3 4 5 6 7 8 9 10; do
		start "pq-stock-$_i" /stock/modprobe slreq_q0
		start "pq-safe-$_i" /safe/modprobe slreq_q0
	done
	start pq-q1 /stock/modprobe slreq_q1
	start pq-q3 /stock/modprobe slreq_q3
	wait_for 30 is slreq_q2 coming
	start pq-q1b /stock/modprobe slreq_q1
	start pq-q2b /stock/modprobe slreq_q2
	start pq-q3b /stock/modprobe slreq_q3
	for _i in 1 2 3 4 5 6 7 8 9 10; do
		finish "pq-stock-$_i" 60; want "stock $_i ends with 0" [ "$rc" = 0 ]
		finish "pq-safe-$_i" 60; want "safeload $_i ends with 0" [ "$rc" = 0 ]
	done
	for _i in q1 q3 q1b q2b q3b; do finish "pq-$_i" 60; want "$_i ends with 0" [ "$rc" = 0 ]; done
	for _m in q0 q1 q2 q3; do want "slreq_$_m is live" is "slreq_$_m" live; done
	want "waits were seen" [ "$(seen load '"ret":')" -ge 4 ]
	for _i in slow lock asked; do finish "pq-$_i" 60; want "$_i ends with 0" [ "$rc" = 0 ]; done
	for _m in q5 q6 q7; do want "slreq_$_m is live" is "slreq_$_m" live; done
	unload slreq_q7 slreq_q6 slreq_q5 slhub slreq_q3 slreq_q1 slreq_q2 slreq_q0

	# As fast as they go; three of four find the module already there.
	_rounds=$(by_scale 40 250)
	start storm sh -c 'i=0; while [ $i -lt $1 ]; do
		/bin/busybox insmod "$0"; /bin/busybox insmod "$0"; /bin/busybox insmod "$0"; /bin/busybox insmod "$0"
		/stock/rmmod slreq_q4; i=$((i + 1)); done 2>/dev/null' \
		"$(find "/lib/modules/$kver/updates" -name slreq_q4.ko)" "$_rounds"
	finish storm 300
	want "the storm ends" [ "$rc" = 0 ]
	_pid=$(pid_of watch)
	log "memory after the storm: $(grep -E '^(VmHWM|VmRSS|Rss)' "/proc/$_pid/status" | tr -s '\t\n ' ' ')"
	watch_end
	want "none was flagged" [ "$(seen finding .)" = 0 ]
	_loads=$(seen load .)
	_lost=$(grep '"type":"end"' "$watched" | grep -o '"lost":[0-9]*' | cut -d: -f2)
	log "storm: $_loads loads seen, $_lost events lost"
	want "every load was seen, or its loss counted" [ "$((_loads + ${_lost:-0}))" -ge "$((_rounds * 4))" ]
	want "none was lost" [ "$_lost" = 0 ]
	helper /safe/modprobe
}
