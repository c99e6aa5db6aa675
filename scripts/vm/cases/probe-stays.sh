# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: the probe stays in the kernel without a process: loads are decided at once; watch reads from it; killed loaders, upgrades, full maps
# kernels: all
# matrix: arm-6.12 amd64-6.12
# boot: probe
# limit: 400
# limit-full: 1500
# copies: r0 r1 r2 r3
# tests: bpf
setup() {
	{
		echo "options slreq_r0 req=slreq_r0"
		echo "options slreq_r1 req=slreq_r1 via=kthread"
		echo "options slreq_r2 req=slreq_r2 via=work"
		echo "options slreq_r3 hold_ms=3000"
	} | conf probe-stays
}

control() {
	start stays-r0 /stock/modprobe slreq_r0
	start stays-r1 /stock/modprobe slreq_r1
	must_hang stays-r0 slreq_r0
	must_hang stays-r1 slreq_r1
}

pinned=/sys/fs/bpf/safeload/probe
probe() { _s=$1; shift; run "$_s" /safe/safeload probe "$@" --json; }

at_once() { # MODULE
	kmsg_mark
	start "ps-$1" /safe/modprobe "slreq_$1"
	finish "ps-$1" 40
	log "$1: took $(seconds "$took") s"
	want "$1: modprobe ends with 0" [ "$rc" = 0 ]
	! exact || want "$1: within a second" [ "$took" -lt 100 ]
	want "$1: the module is live" is "slreq_$1" live
	want "$1: one refusal" count "$(kmsg)" "safeload: refused" 1
	[ "$1" != r0 ] || want "$1: not on suspicion" proven
	unload "slreq_$1"
}

check() {
	helper /safe/modprobe
	probe 60 status
	want "none is there" [ "$rc" = 1 ]
	probe 240 load --patience 60s
	log "$(cat "$out")"
	want "it is loaded, ready and whole" has "$out" '"did":"loaded","ready":true,.*"whole":true'
	want "it is as the schema says" /t/vmtool jsonl probe "$out"
	want "no process stays" not pidof safeload
	want "its directory is root's alone" [ "$(stat -c '%u %a' /sys/fs/bpf/safeload $pinned | sort -u)" = "0 700" ]
	_bytes=$(grep -o '"bytes":[0-9]*' "$out" | cut -d: -f2)
	want "its maps are less than 2 MiB" [ "$_bytes" -lt 2097152 ]
	for _m in r0 r1 r2; do at_once $_m; done
	# An innocent second caller of a slow init waits as the kernel has it.
	kmsg_mark
	start ps-r3 /stock/modprobe slreq_r3
	wait_for 30 is slreq_r3 coming
	start ps-r3b /safe/modprobe slreq_r3
	for _n in r3 r3b; do finish "ps-$_n" 30; want "$_n ends with 0" [ "$rc" = 0 ]; done
	want "none refused" lacks "$(kmsg)" "safeload: refused"
	unload slreq_r3

	ls -i $pinned >/tmp/stays.pins
	probe 240 load
	want "a second load finds it" has "$out" '"did":"it is there already","ready":true'
	want "and makes nothing" sh -c "ls -i $pinned | cmp - /tmp/stays.pins"

	# A watch reads from it, whoever loads, and attaches nothing of its own.
	helper /stock/modprobe
	want "the watch starts" watch_begin --break
	want "it has pinned nothing" [ "$(ls /sys/fs/bpf/safeload)" = probe ]
	probe 60 status
	want "the status says that one reads" has "$out" '"watched":true'
	start ps-watched /stock/modprobe slreq_r0
	finish ps-watched 60
	want "kmod's recursion ends" [ "$rc" = 0 ]
	sees finding slreq_r0; sees freed slreq_r0
	want "found and freed" [ "$(seen finding slreq_r0) $(seen freed slreq_r0)" = "1 1" ]
	unload slreq_r0
	watch_end
	want "it is still there, and not read" still
	# One that comes when it has hung for a while sees what began before it.
	start ps-before /stock/modprobe slreq_r0
	want "one hangs" wait_for 30 helper_for slreq_r0
	sleep 1
	want "the watch starts in the middle" watch_begin --break
	finish ps-before 60
	want "and frees it" [ "$rc" = 0 ]
	sees finding slreq_r0
	want "and says so" [ "$(seen finding slreq_r0)" = 1 ]
	unload slreq_r0
	helper /safe/modprobe
	# It ends when what it reads from is taken away.
	probe 60 unload
	finish watch 20
	want "a watch without its probe ends with an error" [ "$rc" = 1 ]
	probe 240 load
	at_once r0

	# Without one of its links something is not recorded, or for ever: nobody believes it, and the next load mends it.
	rm $pinned/link-3
	probe 60 status
	want "without a link: nobody believes it" [ "$rc" = 1 ]
	want "without a link: the status says why" has "$out" '"fault":"[0-9]* of its [0-9]* links are there"'
	kmsg_mark
	start ps-unlinked /safe/modprobe slreq_r0
	finish ps-unlinked 40
	want "without a link: refused all the same, by what /proc shows" [ "$rc $(grep -c "safeload: refused" "$(kmsg)")" = "0 1" ]
	unload slreq_r0
	probe 240 load
	want "without a link: the next load attaches another" has "$out" '"did":"loaded","ready":true'

	# A watch that was killed leaves nothing that signals.
	want "the watch starts again" watch_begin --break
	kill -KILL "$(pid_of watch)"
	finish watch 10
	at_once r0
	probe 60 unload
	want "it is unloaded" has "$out" '"did":"unloaded"'
	want "nothing is left of it" [ -z "$(ls /sys/fs/bpf/safeload)" ]

	# One of each kind, and fewer where each load costs more.
	case $kver in *armmp*) STEPS=$(by_scale some all) ;; *) STEPS=$(by_scale few all) ;; esac
	export STEPS
	# Those of a user's requests for keys take no place in its maps, which were full by them.
	gotest bpf "$(by_scale 280 1400)" -test.run 'TestKeys|TestMissedEnd|TestKilled'
	grep 'took' "$out" | sed "s/^/#L# $case: /"
}
still() {
	probe 60 status
	has "$out" '"ready":true' && has "$out" '"watched":false'
}
