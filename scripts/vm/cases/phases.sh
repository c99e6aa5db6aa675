# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a record tells apart what takes a load long: its file, decompression, a symbol, a lock, async functions, sleep; safeload timeline shows it
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: probe
# limit: 120
# copies: t0 t1 t2 t3
# extra: identity
setup() {
	{
		echo "options slreq_t0 hold_ms=500"
		echo "options slreq_t1 need=lock"
		echo "install phases-hold /bin/sh /tmp/phases-hold"
	} | conf phases
	# Whoever asks for this waits until the case lets him go.
	cat >/tmp/phases-hold <<-'HOLD'
		echo >/tmp/phases.held
		until [ -e /tmp/phases.go ]; do sleep 0.05; done
		rm /tmp/phases.go /tmp/phases.held
	HOLD
	# Its file is read for long, wherever it lies.
	cp "/lib/modules/$kver/updates/slreq_t3.ko" /tmp/phases-large.ko
	dd if=/dev/zero bs=1M count=24 >>/tmp/phases-large.ko 2>/dev/null
}

# waits MODULE KIND LEAST: a load of it has a wait of that kind, of so many microseconds; or that much in all of its waits of it.
waits() {
	_us=$(grep '"type":"load"' /tmp/phases.json | grep "\"module\":\"$1\"" | grep -o "\"how\":\"$2\",[^}]*" | grep -o '"took_us":[0-9]*' | cut -d: -f2 | sort -n | tail -1)
	[ "${_us:-0}" -ge "$3" ] || { log "$case: $1: $2 for ${_us:-no time}: $(grep "\"module\":\"$1\"" /tmp/phases.json | head -c 800)"; return 1; }
}
# behind NAME STATE MODULE INITSTATE COMMAND...: a load that has to wait for phases-hold is let go once it sleeps, in that
# state, and its module is so far.
behind() {
	_job=$1 _state=$2 _module=$3 _so=$4 _last=; shift 4
	wait_for 30 test -e /tmp/phases.held
	start "$_job" "$@"
	wait_for 30 is "$_module" "$_so"
	wait_for 30 sleeps "$(pid_of "$_job")" "$_state"
	echo >/tmp/phases.go
	finish "$_job" 30
}
# sleeps PID STATE: and it has not woken since the last look.
sleeps() {
	_now=$(grep '^State:\|^voluntary' "/proc/$1/status")
	[ "$_now" != "$_last" ] || case ${_now#State:?} in "$2"*) return 0 ;; esac
	_last=$_now
	return 1
}
told() { head -1 /run/phases | grep -q "\"phases\":\[[^]]*\"$1\""; }

check() {
	updates=/lib/modules/$kver/updates
	/stock/modprobe slhub
	want "the watch starts" watch_begin --record /run/phases
	start ph-sleep /stock/modprobe slreq_t0; finish ph-sleep 30
	start ph-large /t/vmtool load /tmp/phases-large.ko; finish ph-large 30
	want "the large file is loaded" [ "$rc" = 0 ]
	start ph-unpack /safe/modprobe slreq-x6-current; finish ph-unpack 30

	start ph-owner /t/vmtool load "$updates/slprov.ko" req=phases-hold
	behind ph-symbol S slprov coming /stock/insmod "$updates/sluse.ko"
	want "who waits for a symbol gets it" [ "$rc" = 0 ]
	finish ph-owner 30
	start ph-slow sh -c 'echo phases-hold >/sys/module/slhub/parameters/under_lock'
	behind ph-lock D slreq_t1 coming /stock/modprobe slreq_t1; finish ph-slow 30
	echo phases-hold >/sys/module/slhub/parameters/by_async
	behind ph-async D slreq_t2 live /stock/modprobe slreq_t2
	watch_end
	want "every line of the record is as the schema says" /t/vmtool jsonl record /run/phases
	run 60 /safe/safeload timeline --json /run/phases
	cp "$out" /tmp/phases.json
	want "every line of the timeline is as the schema says" /t/vmtool jsonl timeline /tmp/phases.json
	log "$(head -1 /run/phases)"

	for _k in disk symbol lock async asleep; do want "it tells $_k" told $_k; done
	want "sleep" waits slreq_t0 asleep 400000
	want "its file" waits slreq_t3 disk 200
	case $kver in
	6.1.*) want "no decompression on this kernel, and it says so" not told decompression ;;
	# What takes less than 0.2 ms is not told.
	*) ! exact || want "decompression" waits slreq_x6 decompression 200 ;;
	esac
	want "a symbol" waits sluse symbol 200
	want "a lock" waits slreq_t1 lock 200
	want "async functions" waits slreq_t2 async 200
	run 60 /safe/safeload timeline --text /run/phases
	want "for people" has "$out" " waits for a symbol of a module that is loading for [0-9.]* ms"
	sed -n 's/^ *\(waits\|sleeps\|reads\|is decomp\)/#L# phases: \1/p' "$out" | head -n 20
	rm -f /run/phases /tmp/phases-large.ko
	unload slreq_t0 slreq_t1 slreq_t2 slreq_t3 slreq_x6 sluse slprov slhub
}
