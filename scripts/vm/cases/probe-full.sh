# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# what: a user's calls fill no ring; the probe where a map of it is full, and where the kernel does not report a return: nobody is refused who only waits, a recursion is refused all the same, and it is said
# kernels: arm-6.12 arm64-6.12 amd64-6.12 *-newest
# matrix: arm-6.12
# boot: probe
# limit: 300
# copies: v0 v1 v2 v3
setup() {
	{
		echo "options slreq_v0 req=slreq_v0"
		echo "options slreq_v1 req=full-wait"
		echo "options slreq_v2 req=slreq_v2 via=kthread crowd=40"
		echo "install full-wait while [ -e /tmp/full.hold ]; do /bin/busybox sleep 0.2; done; true"
	} | conf probe-full
}

control() {
	start full-v0 /stock/modprobe slreq_v0
	must_hang full-v0 slreq_v0
	start full-v2 /stock/modprobe slreq_v2
	must_hang full-v2 slreq_v2
}

pinned=/sys/fs/bpf/safeload/probe
says_full() {
	run 60 /safe/safeload probe status --json
	has "$out" '"ready":true' && has "$out" '"whole":false,"full":true'
}

# innocent MAP: who waits for an init that is slow, by hand and on a stranger's request.
innocent() {
	kmsg_mark
	: >/tmp/full.hold
	start pf-slow /stock/modprobe slreq_v1
	wait_for 30 is slreq_v1 coming
	start pf-second /safe/modprobe slreq_v1
	start pf-asked sh -c "echo slreq_v1 >/sys/module/slhub/parameters/under_write"
	want "$1: a stranger has asked for it" wait_for 30 helper_for slreq_v1
	want "$1: probe status says that it is full" wait_for 60 says_full
	if [ "$1" = requests ]; then
		run 60 /safe/safeload status
		want "status says so" has "$out" "not whole: a map is full, or"
		run 60 /safe/safeload doctor
		want "doctor says so" has "$out" "not whole.*"
		# Longer than any patience.
		pause 15
	fi
	rm /tmp/full.hold
	for _n in slow second asked; do finish "pf-$_n" 60; want "$1: $_n ends with 0" [ "$rc" = 0 ]; done
	want "$1: nobody is refused" lacks "$(kmsg)" "safeload: refused"
	want "$1: the request was answered" has "$(kmsg)" "slhub: slreq_v1 returned 0"
	unload slreq_v1
}

recursion() { # WHAT MODULE
	kmsg_mark
	start pf-self /safe/modprobe "$2"
	finish pf-self 60
	log "$1: a recursion took $(seconds "$took") s"
	want "$1: a recursion is refused: modprobe ends with 0" [ "$rc" = 0 ]
	want "$1: once" count "$(kmsg)" "safeload: refused" 1
	want "$1: the module is live" is "$2" live
	unload "$2"
}

check() {
	helper /safe/modprobe
	/stock/modprobe slhub
	run 240 /safe/safeload probe load --json --patience 60s
	want "it is loaded, ready and whole" has "$out" '"ready":true,.*"whole":true'
	# The ring has room for some 3,000 events, and each of these calls was two.
	want "the watch starts" watch_begin -v
	run 120 /t/vmtool refused 6000
	want "a user's calls are refused" [ "$(cat "$out")" = 6000 ]
	start pf-real /stock/modprobe slreq_v3
	finish pf-real 30
	sees load '"module":"slreq_v3"'
	watch_end
	want "and are no loads" [ "$(seen load '"comm":"vmtool"')" = 0 ]
	want "a load is one" [ "$(seen load '"module":"slreq_v3"')" = 1 ]
	want "no event is lost" [ "$(seen end '"lost":0[,}]')" = 1 ]
	# A return probe has room for ten callers at once, and the last of forty asks. The init has slept for long by then, so
	# that nothing else ties that thread to it.
	_before=$(/t/vmtool missed $pinned)
	recursion missed slreq_v2
	_after=$(/t/vmtool missed $pinned)
	want "missed: returns were ($_before, $_after)" [ "$_after" -ge $((_before + 20)) ]
	want "missed: refused by what the probe saw" proven
	for _map in requests tasks loads names; do
		want "$_map: filled" /t/vmtool fill $pinned/$_map
		innocent $_map
		case $_map in requests | loads) recursion $_map slreq_v0 ;; esac
		want "$_map: emptied" /t/vmtool fill -empty $pinned/$_map
	done
	# All that is over: nothing is missing any more.
	kmsg_mark
	start pf-again /safe/modprobe slreq_v0
	finish pf-again 40
	want "again: refused, and proven" [ "$rc $(grep -c "safeload: refused" "$(kmsg)")" = "0 1" ]
	want "again: not on suspicion" proven
	run 60 /safe/safeload probe status
	log "$(tr '\n' ' ' <"$out")"
	want "again: whole" lacks "$out" "not whole"
	want "again: what was is said" has "$out" "times a map had no room"
	run 60 /safe/safeload probe unload
	unload slreq_v0 slreq_v3 slhub
}
