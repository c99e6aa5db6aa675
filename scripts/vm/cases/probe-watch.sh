# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: what safeload watch says, and how: JSON, colour, --once, --duration, the ready file, few lines in the kernel's log; a second waiter of one command
# kernels: all
# matrix: arm-6.12 arm-6.1 arm64-6.12 amd64-6.12
# boot: probe
# limit: 300
# copies: y0 y1
# extra: identity
setup() {
	{
		echo "alias crypto-recurse tcrypt"
		echo "options slreq_y0 req=slreq_y0"
		echo "options slreq_y1 req=probe-twice"
		echo "options slreq_x5_current req=slreq-x5-current"
		# Nobody signals the shell, which waits for both, one after the other.
		echo "install probe-twice /stock/modprobe slreq_y1; /stock/modprobe slreq_y1; true"
	} | conf probe-watch
}

control() {
	start pw-self /stock/modprobe slreq_y0
	must_hang pw-self slreq_y0
	start pw-twice /stock/modprobe slreq_y1
	must_hang pw-twice slreq_y1
}

escape=$(printf '\033')
watch_text() { # TEXT COMMAND...: a watch that writes to a terminal; its lines in $watched
	_text=$1; shift
	rm -f /run/watch.ready
	start watch "$@" /t/vmtool pty /safe/safeload watch --once --break --ready-file /run/watch.ready
	want "$_text: the watch starts" wait_for 240 test -s /run/watch.ready
	start "pw-text" /stock/modprobe slreq_y0
	finish pw-text 60; want "$_text: modprobe ends with 0" [ "$rc" = 0 ]
	unload slreq_y0
	finish watch 60
	want "$_text: --once ends with 3" [ "$rc" = 3 ]
	want "$_text: the finding is a tree" has "$watched" "└─ .*waits for slreq_y0"
	want "$_text: no ready file is left" [ ! -e /run/watch.ready ]
}

# recorded: what the watch wrote beside its lines.
recorded() {
	want "every line of the record is as the schema says" /t/vmtool jsonl record /run/record
	start log /safe/safeload log /run/record; finish log 60
	want "log: who asked for which name" has "$out" "load tcrypt: .*by modprobe\[[0-9]*\] (uid 0; kworker/.*; modprobe\[[0-9]*\] (uid 0.*) asked for crypto-recurse"
	want "log: for whose load" has "$out" "request crypto-recurse: .* for the load of tcrypt (task)"
	start why /safe/safeload why --record /run/record slreq_y1; finish why 60
	want "why: by whom" has "$out" "load slreq_y1: live .*by modprobe"
	want "why: it is gone" has "$out" "slreq_y1 is not loaded"
	start timeline /safe/safeload timeline --text /run/record; finish timeline 60
	want "timeline: it waits for itself" has "$out" "tcrypt .*; waits for itself (proven)"
	rm /run/record
}

check() {
	helper /stock/modprobe
	mkdir -p /dev/pts
	mount -t devpts -o ptmxmode=0666 devpts /dev/pts
	watch_text "on a terminal" env -u NO_COLOR
	want "coloured on a terminal" has "$watched" "$escape\[31;1mslreq_y0 waits for itself"
	watch_text "with NO_COLOR" env NO_COLOR=1
	want "not coloured with NO_COLOR" lacks "$watched" "$escape"

	start once-plain /safe/safeload watch --duration 3s
	finish once-plain 240
	want "--duration: ends with 0" [ "$rc" = 0 ]
	want "--duration: says what it saw" has "$out" "0 findings, 0 events lost"
	want "not coloured in a file" lacks "$out" "$escape"
	start usage /safe/safeload watch --break=HUP; finish usage 20
	want "a signal that it does not know: 2" [ "$rc" = 2 ]

	want "the watch starts" watch_begin -v --break --record /run/record
	start twice /stock/modprobe slreq_y1
	finish twice 60
	want "both of one command are freed" [ "$rc" = 0 ]
	want "both were found" sees finding slreq_y1 2
	unload slreq_y1
	_helper=$(cat /proc/sys/kernel/modprobe)
	helper /stock/modprobe
	start current /stock/modprobe slreq-x5-current
	finish current 60
	want "a module whose file is called otherwise is freed" [ "$rc" = 0 ]
	want "and found by its own name" sees finding '"slreq_x5"'
	unload slreq_x5
	helper "$_helper"
	kmsg_mark
	_t0=$(now) _i=0
	# As often as there must be findings that the log does not get: ten a minute. By the real clock a slow machine may never
	# have so many in a minute. What counts them is no kernel's: without --full one kernel has that many.
	_rounds=400
	[ "$scale" = full ] || case $kver in 6.12.*armmp) ;; *) _rounds=4 ;; esac
	while [ $_i -lt $_rounds ] && { exact || [ $(($(now) - _t0)) -lt 18000 ]; }; do
		_i=$((_i + 1))
		start storm /stock/modprobe tcrypt alg=recurse
		finish storm 60
		_most=$(((($(now) - _t0) / 6000 + 2) * 10))
		[ "$(seen finding tcrypt)" -le $((_most + 3)) ] || break
	done
	_found=$(seen finding tcrypt) _lines=$(grep -c 'safeload: module tcrypt: load waits' "$(kmsg)")
	log "$_found findings in $(seconds $(($(now) - _t0))) s, $_lines lines in the kernel's log"
	! exact || [ $_rounds = 4 ] || want "there were more findings than the log may get" [ "$_found" -gt "$_most" ]
	want "the log got some, and no more than it may" [ "$_lines" -gt 0 -a "$_lines" -le "$_most" ]
	watch_end
	want "loads with their duration" [ "$(seen load '"took_us":[1-9]')" -ge 3 ]
	want "requests with their duration, name and requester" [ "$(seen request '"name":"crypto-recurse".*"took_us":[1-9]')" -ge 3 ]
	want "every line is as the schema says" /t/vmtool jsonl watch "$watched"
	recorded

	# No BPF: what is missing is said, and the next best serves.
	rm -f /run/watch.ready
	start watch /t/vmtool without admin /t/vmtool without bpf /safe/safeload watch --json --break --ready-file /run/watch.ready
	want "without BPF: the watch starts" wait_for 240 test -s /run/watch.ready
	want "without BPF: it says so" has "$watched" '"unavailable":\["bpf: probe not available: the bpf system call (CONFIG_BPF_SYSCALL)'
	want "without BPF: from tracefs" has "$watched" '"source":"tracefs"'
	start pw-nobpf /stock/modprobe slreq_y0
	finish pw-nobpf 60; want "without BPF: modprobe ends with 0" [ "$rc" = 0 ]
	watch_end
	want "without BPF: found" [ "$(seen finding '"certainty":"proven"')" = 1 ]
	want "without BPF: every line is as the schema says" /t/vmtool jsonl watch "$watched"
	unload slreq_y0
	start plain /t/vmtool without bpf /safe/safeload watch --duration 1s
	finish plain 60
	want "without BPF: for people, too" has "$out" "safeload: watch: bpf: probe not available: the bpf system call"

	# As the unit runs it, it may not load modules itself, which its look at the kernel's structures does otherwise.
	rm -f /run/watch.ready
	start watch /t/vmtool without rights /safe/safeload watch --json --break --record /run/record --ready-file /run/watch.ready
	want "with the unit's rights: the watch starts" wait_for 240 test -s /run/watch.ready
	want "with the unit's rights: nothing is missing" has "$watched" '"missing":\[\]'
	want "with the unit's rights: a record tells what takes loads long" has /run/record '"phases":\["disk",.*"asleep"\]'
	log "$(head -1 "$watched")"
	_admin=0
	for _t in /proc/"$(pid_of watch)"/task/*; do
		_caps=$(awk '/^CapPrm/ {print $2}' "$_t/status")
		_admin=$((_admin + (0x$_caps >> 21 & 1)))
	done
	want "with the unit's rights: no thread has kept CAP_SYS_ADMIN: $_caps" [ $_admin = 0 ]
	start pw-nomodule /t/vmtool load "$(find "/lib/modules/$kver/updates" -name slreq_y0.ko)" req=slreq_y0
	finish pw-nomodule 60; want "with the unit's rights: the load ends with 0" [ "$rc" = 0 ]
	watch_end
	want "with the unit's rights: found" [ "$(seen finding '"certainty":"proven"')" = 1 ]
	unload slreq_y0
	rm -f /run/record /run/record.1
	# What it is for: Debian's kernels attach nothing without it, unless they are told to.
	_paranoid=$(cat /proc/sys/kernel/perf_event_paranoid)
	echo 2 >/proc/sys/kernel/perf_event_paranoid
	run 60 /t/vmtool without admin /safe/safeload watch --json --duration 1s
	echo "$_paranoid" >/proc/sys/kernel/perf_event_paranoid
	want "without CAP_SYS_ADMIN, perf_event_paranoid 2, not $_paranoid: nothing is missing" has "$out" '"missing":\[\].*"source":"bpf"'
	helper /safe/modprobe
}
